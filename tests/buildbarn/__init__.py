"""Remote builds on Buildbarn's own programs, with what `nix-remote setup kubernetes` generates.

`tools/test buildbarn --buildbarn DIR` runs these tests. No other run has them: the programs have to
be built first (docs/buildbarn.md).
"""
