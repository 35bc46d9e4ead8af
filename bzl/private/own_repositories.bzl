"""nix_remote's own repositories, for MODULE.bazel and for WORKSPACE.

Bazel fetches each when it is needed: the re-hosted rules when they are loaded, the copier's
Python when a package is fetched with a host set, `fetches.bzl` with `//bzl:testing.bzl`.
"""

load(":errors.bzl", "NOT_A_STORE_PATH", "NO_SETTLE_TIME", "UNKNOWN_TRANSPORT")
load(":python.bzl", "python_repository")
load(":rehost.bzl", "rehosted_core_repository")
load(":rehost_toolchains.bzl", "declare_toolchain_repositories")
load(":testing_repository.bzl", "testing_repository")

_TRANSPORTS = ["", "auto", "openssh", "paramiko"]

def declare_own_repositories(
        python = None,
        transport = "",
        substitute = False,
        workspace = "",
        store_paths = [],
        settle = "",
        toolchain_sources = {},
        language_rules = {}):
    """Declares the repositories under the names that `load` statements and labels in `bzl` use.

    Args:
      python: the label of the interpreter that creates the copier's virtual environment
      transport: the SSH transport; empty for the copier's default
      substitute: whether the server tries its own substituters before a path is sent
      workspace: the path that durable roots are named after; empty for the workspace's folder
      store_paths: the paths to copy with every package
      settle: the settle time in seconds; empty for the copier's default
      toolchain_sources: see `declare_toolchain_repositories`
      language_rules: see `declare_toolchain_repositories`
    """
    refusal = refused(transport, store_paths, settle)
    if refusal:
        fail(refusal)
    python_repository(
        name = "nix_remote_python",
        base = python,
        settings = copy_settings(transport, substitute, workspace, store_paths, settle),
    )
    rehosted_core_repository(name = "nix_remote_rules_nixpkgs_core")
    declare_toolchain_repositories(toolchain_sources, language_rules)
    testing_repository(name = "nix_remote_testing")

def refused(transport, store_paths, settle):
    """Checks the configuration.

    Args:
      transport: as for `declare_own_repositories`
      store_paths: as for `declare_own_repositories`
      settle: as for `declare_own_repositories`

    Returns:
      the error text; empty if the values are valid
    """
    if transport not in _TRANSPORTS:
        return UNKNOWN_TRANSPORT.format(transport = transport)
    for path in store_paths:
        if not path.startswith("/nix/store/"):
            return NOT_A_STORE_PATH.format(path = path)
    if settle and not settle.replace(".", "", 1).isdigit():
        return NO_SETTLE_TIME.format(settle = settle)
    return ""

def copy_settings(transport, substitute, workspace, store_paths, settle):
    """The configuration, as the hook reads it in every fetch.

    Args:
      transport: as for `declare_own_repositories`
      substitute: as for `declare_own_repositories`
      workspace: as for `declare_own_repositories`
      store_paths: as for `declare_own_repositories`
      settle: as for `declare_own_repositories`

    Returns:
      the content of settings.json
    """
    arguments = ["--transport=" + transport] if transport else []
    arguments += ["--substitute"] if substitute else []
    arguments += ["--settle=" + settle] if settle else []
    return json.encode({
        "arguments": arguments,
        "store_paths": store_paths,
        "workspace": workspace,
    })
