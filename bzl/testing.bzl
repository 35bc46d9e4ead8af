"""A test that asks an executor for the store paths of packages.

    load("@nix_remote//bzl:testing.bzl", "nix_remote_closure_test")

    nix_remote_closure_test(
        name = "closure_test",
        packages = ["@hello//:bin"],
    )
"""

load("//bzl/private:closure_test.bzl", "closure_test")

def nix_remote_closure_test(name, packages, ask_nix = False, tags = [], **kwargs):
    """Passes if the machine that runs the test has every store path of the packages' closures.

    With a host set, the closures are what the fetches of the packages have copied: nothing but
    the test itself is run. Without one, they are asked of the Nix of this machine, in an action
    that must run here; `--spawn_strategy=remote` or `sandboxed` then also takes
    `--strategy=NixClosure=local`. The executor has to have what Bazel needs to run any test:
    `/usr/bin/env`, a shell and the usual tools.

    The output names each path that is missing. The test is never answered from a cache.

    Args:
      name: The test's name.
      packages: Labels of files in packages, for instance `@hello//:bin`. What counts with a
        host is the package's repository. Without one it is the store path that a file is in: of
        a package with several outputs name a file of each. Of a toolchain, name the repository
        that has its package.
      ask_nix: Whether Nix is asked with a host, too: for packages that are not loaded through
        nix_remote. For files of the own repository it is asked anyway.
      tags: The usual tags of a test.
      **kwargs: What every test can have; `exec_properties` and `exec_compatible_with`
        decide which executor is asked.
    """
    closure_test(
        name = name,
        ask_nix = ask_nix,
        packages = packages,
        tags = tags + ["external", "no-cache"],
        **kwargs
    )
