"""Copies beside a garbage collector, each held at a chosen point.

    servers.py      Nix servers whose programs are of several versions
    collector.py    a collector that is held at one of its system calls
    held_copier.py  runs on the workstation: the copier, held before one of its steps
    mutants.py      runs there: copiers that leave out a step, or change the order
    race.py         one copy beside one collector, and what was lost

The integration tests have a short selection; `tools/test endurance -k races` runs all combinations.
"""
