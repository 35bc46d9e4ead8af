"""How fast a copy is, against Nix's own means and against what is possible.

`tools/bench NAME` runs one. All contenders are run by turns, from the same state of
the same server, whose store is in memory; only ratios within one run mean something.
Belongs here: what is measured and how. The hosts, the distance between them and the
content are the lab's (`lab`). Of nix_remote only the command line is used.

    cold.py, incremental.py, ...   one benchmark each: the content, and what the server has
    contenders.py                  who is measured, and the limits
    harness.py                     runs by turns, medians, ratios
    rig.py                         the two hosts, and the way back to the same state
    timed.py                       what measures one run, on the host itself
    round_trips.py                 counts how often a client waits for the server
    report.py                      JSON, and a table for people
"""
