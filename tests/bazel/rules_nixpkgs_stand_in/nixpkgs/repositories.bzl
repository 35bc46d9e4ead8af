"""Stand-in for tests, not rules_nixpkgs: what a WORKSPACE file calls."""

def rules_nixpkgs_dependencies(rules_nixpkgs_name = "io_tweag_rules_nixpkgs", toolchains = None):
    """Where the real one declares its repositories. The tests override them.

    Args:
      rules_nixpkgs_name: the name under which this repository is declared
      toolchains: which toolchains to declare; the tests override them all
    """
    if not native.existing_rule(rules_nixpkgs_name):
        fail("stand-in: no repository {} for {}".format(rules_nixpkgs_name, toolchains))
