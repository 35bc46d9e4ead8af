"""A test that checks that an executor has the store paths of packages.

    load("@nix_remote//bzl:testing.bzl", "nix_remote_closure_test")

    nix_remote_closure_test(
        name = "closure_test",
        packages = ["@hello//:bin"],
    )
"""

load("//bzl/private:closure_test.bzl", "closure_test")

def nix_remote_closure_test(name, packages, ask_nix = False, tags = [], **kwargs):
    """Passes if the machine that runs the test has every store path of the packages' closures.

    With a host set, the closures are those that the fetches of the packages copied, and no other
    action runs. Without a host, an action asks the local Nix for them. It must run locally:
    with `--spawn_strategy=remote` or `sandboxed`, add `--strategy=NixClosure=local`. The executor
    needs what Bazel needs to run any test: `/usr/bin/env`, a shell and the usual tools.

    The output names each missing path. The result is never cached.

    Args:
      name: The test's name.
      packages: Labels of files in packages, for instance `@hello//:bin`. With a host, the label
        selects the repository of the package. Without one, it selects the store path that the
        file is in: for a package with several outputs, name a file of each. For a toolchain, name
        the repository of its package.
      ask_nix: Whether to ask Nix also with a host set, for packages that are not loaded through
        nix_remote. For files of the main repository, Nix is always asked.
      tags: The usual tags of a test.
      **kwargs: Other attributes of tests; `exec_properties` and `exec_compatible_with`
        select the executor.
    """
    closure_test(
        name = name,
        ask_nix = ask_nix,
        packages = packages,
        tags = tags + ["external", "no-cache"],
        **kwargs
    )
