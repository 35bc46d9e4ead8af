"""A laboratory of real hosts on one machine.

A *workstation* (Bazel, Nix), a *Nix server* (sshd, Nix daemon, its own
`/nix/store`), *executors* whose only `/nix/store` is the server's, and a real
Remote Execution service. The demo, the tests and the benchmarks share it.

Belongs here: making root trees, starting and stopping hosts and the services
in them, and the store content they build. Does not belong here: what a test
asserts, and anything that imports `nix_remote`, which the lab tests from
outside. Only Python's standard library is used, so that the
lab runs before anything is installed.

    images.py            the root trees, by Debian package names
    cache.py             the cache folder, and building its content once
    prerequisites.py     the Debian packages the outer machine needs
    commands.py          runs processes, always with a bound
    network.py           the switch that connects the hosts
    wan.py               delay and bandwidth between hosts, by frame_delay.py
    relay.py             a relay that breaks connections at a chosen byte
    host.py              one host: file system, namespaces, commands in it
    kernel_host.py       a host with its own kernel; system_host.py: with systemd, too
    kernels.py           those kernels
    disk.py              the disks of those hosts
    nix.py               Nix and its daemon on a host
    content.py           store content in bulk
    sshd.py              an SSH server on a host, and accounts for it
    remote_execution.py  BuildGrid, and buildbox workers on executors
    buildbarn.py         Buildbarn; buildbarn_programs.py builds it
    go_tools.py          Go, and programs written in it
    bazel.py             Bazel on the workstation; bazel_modules/ has modules that Debian lacks
    other_bazel.py       another Bazel, and a registry of modules for it
    lab.py               the whole lab
    nixpkgs/             a small package set made of Debian packages
"""
