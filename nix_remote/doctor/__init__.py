"""Looks at everything between here and an executor, layer by layer, and says what is wrong.

    finding.py       what a look at one thing comes to
    examine.py       which looks there are, and in which order
    way_in.py        SSH config, keys, agent, connection, host key, login
    disks.py         room on the server, and whether it can be written      (pure)
    exports.py       the export of the store, the NFS server, the timer     (pure)
    store.py         Nix on the server: trust, a durable root, the roots there are
    workspace.py     what Bazel is told                                     (pure)
    on_executor.py   the mount; a file of its own that runs anywhere
    executor.py      runs that on an executor, over SSH
    remote.py        has an executor look, through the Remote Execution API

A look has two halves: a thin probe that brings facts, and a judgement over them that is pure.
Nothing is changed, but for one empty file in the server's store and a durable root of it, which
is removed again: that they can be made is what is looked at.
"""
