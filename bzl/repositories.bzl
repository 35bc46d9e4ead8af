"""What a WORKSPACE file calls after `rules_nixpkgs_dependencies()`."""

load("//bzl/private:bazel_version.bzl", "is_older")
load("//bzl/private:errors.bzl", "OLD_BAZEL")
load("//bzl/private:own_repositories.bzl", "declare_own_repositories")

# MODULE.bazel says by itself which Bazel it needs.
_OLDEST = "6.0.0"

def nix_remote_dependencies(
        python = None,
        store_paths = [],
        substitute = False,
        transport = "",
        workspace = ""):
    """Declares the repositories that the files in `@nix_remote//bzl` need.

    `@rules_nixpkgs_core` must be declared as well, and for each toolchain in use
    `@rules_nixpkgs_cc` and so on; `rules_nixpkgs_dependencies()` does that. The
    arguments say how packages are copied.

    Args:
      python: The label of the Python that makes the copier's virtual environment; by
        default `python3` on `PATH`. The variable `NIX_REMOTE_PYTHON` wins.
      store_paths: Store paths that are copied with every package: those that the build
        uses without any package, for instance the shell of `--shell_executable`.
      substitute: Whether the server asks its own caches for a path before it is sent.
      transport: What makes the SSH connection: `auto`, `paramiko` or `openssh`. By
        default what `NIX_REMOTE_TRANSPORT` says, else `auto`.
      workspace: An absolute path that names the garbage collector roots, if not the
        workspace's folder: for checkouts in ever new folders.
    """
    if is_older(native.bazel_version, _OLDEST):
        fail(OLD_BAZEL.format(oldest = _OLDEST, version = native.bazel_version))
    declare_own_repositories(
        python = python,
        store_paths = store_paths,
        substitute = substitute,
        transport = transport,
        workspace = workspace,
    )
