"""Stand-in for tests, not rules_nixpkgs: what a WORKSPACE file calls."""

def rules_nixpkgs_dependencies(rules_nixpkgs_name = "io_tweag_rules_nixpkgs", toolchains = None):
    """Where the real one declares @rules_nixpkgs_core. The tests override that repository.

    Args:
      rules_nixpkgs_name: the name under which this repository is declared
      toolchains: which toolchains to declare; the stand-in has none
    """
    if not native.existing_rule(rules_nixpkgs_name):
        fail("stand-in: there is no repository " + rules_nixpkgs_name)
    if toolchains:
        fail("stand-in: there are no toolchains")
