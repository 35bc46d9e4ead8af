"""Benchmarks: the speed of a copy, compared with Nix's own tools and with lower limits.

`tools/bench NAME` runs one. Contenders take turns, from the same state of the same
server, whose store is in memory; only ratios within one run are meaningful.
Belongs here: what is measured and how. The hosts, the link between them and the
content come from the lab (`lab`). Only the command line of nix_remote is used.

    cold.py, incremental.py, ...   one benchmark each: the content, and what the server has
    contenders.py                  the programs that are measured, and the limits
    harness.py                     runs in turns, medians, ratios
    rig.py                         the two hosts, and resetting their state
    timed.py                       measures one run, on the host itself
    round_trips.py                 counts how often a client waits for the server
    report.py                      JSON and a readable table
"""
