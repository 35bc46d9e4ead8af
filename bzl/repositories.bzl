"""Repositories for WORKSPACE files, declared after `rules_nixpkgs_dependencies()`."""

load("//bzl/private:bazel_version.bzl", "is_older")
load("//bzl/private:errors.bzl", "OLD_BAZEL")
load("//bzl/private:own_repositories.bzl", "declare_own_repositories")

# In MODULE.bazel, `bazel_compatibility` is the check.
_OLDEST = "6.0.0"

def nix_remote_dependencies(
        python = None,
        settle = "",
        store_paths = [],
        substitute = False,
        transport = "",
        workspace = ""):
    """Declares the repositories that the files in `@nix_remote//bzl` need.

    `@rules_nixpkgs_core` must be declared too, and for each toolchain in use
    `@rules_nixpkgs_cc` and so on; `rules_nixpkgs_dependencies()` does that. The
    arguments set how packages are copied.

    Args:
      python: The label of the Python that creates the copier's virtual environment
        (default: `python3` on `PATH`). `NIX_REMOTE_PYTHON` overrides it.
      settle: Seconds after which executors see a path that has become valid: the `acdirmax`
        of their mounts. A copy ends no earlier. `0` if no executor mounts the store (default:
        the value of `NIX_REMOTE_SETTLE`, else `1`).
      store_paths: Store paths to copy with every package: those that the build uses
        without a package, such as the shell that `--shell_executable` names.
      substitute: Whether the server tries its own substituters before a path is sent.
      transport: The SSH transport: `auto`, `paramiko` or `openssh` (default: the value of
        `NIX_REMOTE_TRANSPORT`, else `auto`).
      workspace: An absolute path that the durable roots are named after (default: the
        workspace's folder). Set it if every checkout has a new folder.
    """
    if is_older(native.bazel_version, _OLDEST):
        fail(OLD_BAZEL.format(oldest = _OLDEST, version = native.bazel_version))
    declare_own_repositories(
        python = python,
        settle = settle,
        store_paths = store_paths,
        substitute = substitute,
        transport = transport,
        workspace = workspace,
    )
