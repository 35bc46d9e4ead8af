"""A test that asks an executor for the store paths of packages.

    load("@nix_remote//bzl:testing.bzl", "nix_remote_closure_test")

    nix_remote_closure_test(
        name = "closure_test",
        packages = ["@hello//:bin"],
    )
"""

load("//bzl/private:closure_test.bzl", "closure_test")

def nix_remote_closure_test(name, packages, tags = [], **kwargs):
    """Passes if the machine that runs the test has every store path of the packages' closures.

    What the closures are is asked of the Nix of this machine, in an action that must run
    here: with `--spawn_strategy=remote` it also takes `--strategy=NixClosure=local`. The
    executor has to have what Bazel needs to run any test: `/usr/bin/env`, a shell and the
    usual tools.

    The output names each path that is missing. The test is never answered from a cache,
    and works without nix_remote, too: what it asks is whether the executors are ready.

    Args:
      name: The test's name.
      packages: Labels of files in packages, for instance `@hello//:bin`. What counts is
        the store path that a file is in: of a package with several outputs name a file
        of each, of a toolchain the repository that has its package.
      tags: The usual tags of a test.
      **kwargs: What every test can have; `exec_properties` and `exec_compatible_with`
        decide which executor is asked.
    """
    closure_test(
        name = name,
        packages = packages,
        tags = tags + ["external", "no-cache"],
        **kwargs
    )
