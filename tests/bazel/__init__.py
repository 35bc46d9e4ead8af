"""nix_remote's Bazel rules, in Bazel, on the hosts of the lab.

    rules_nixpkgs_stand_in/   replaces rules_nixpkgs, without a download
    project.py                a workspace whose packages a test chooses
    observed_python.py        a Python that reports which copies it ran

`pytest --rules-nixpkgs=DIR` runs the same tests with a checkout of the real one.
"""
