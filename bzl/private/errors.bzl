"""Error texts of nix_remote's repository rules: what failed, why, and how to fix it.

The copier prints its own error text. Bazel repeats `COPY_FAILED` up to three times, so it is
short.
"""

COPY_FAILED = """\
nix_remote could not copy @{package} to {host} (exit status {status}): {reason}
  For the cause and the fix, see "nix-remote: {package}:" above.
"""

NOTHING_REALISED = """\
nix_remote found no store path of @{package}, so it copied nothing to {host}.
  Why: rules_nixpkgs realised the package, but its repository contains no link
       named bazel-support/nix-out-link*. The options --out-link and
       --no-out-link in `nixopts` have this effect.
  Fix: remove the option.
"""

ENSURE_WITHOUT_HOST = """\
nix_remote cannot check this workspace: no Nix server is set.
  Why: BAZEL_NIX_REMOTE is not set, so fetches copy nothing.
  Fix: set it in a bazelrc file to a Host entry of your SSH config:
         common --repo_env=BAZEL_NIX_REMOTE=nix-server
"""

UNSUPPORTED_RULES_NIXPKGS = """\
nix_remote does not support this rules_nixpkgs (version {version}).
  What: {what}
  Why:  nix_remote re-hosts your rules_nixpkgs and inserts its hook at known places.
        It supports rules_nixpkgs 0.10 to 0.13, and the main branch of July 2026.
  Fix:  use one of these versions, or a nix_remote that supports yours. To build
        without nix_remote, load from rules_nixpkgs itself.
"""

# Values of `what` in `UNSUPPORTED_RULES_NIXPKGS`.
TEXT_UNEXPECTED = """\
{file} contains this text {count} times (expected: {expected}):
{anchor}"""
FILE_MISSING = "{file} does not exist."
FILE_UNKNOWN = "{file} loads {label}, a file that nix_remote does not know."

NO_FLAKE_PACKAGES = """\
nix_remote cannot offer the extension `rules_nixpkgs` with its tag `flake_package`.
  Why: your rules_nixpkgs_core does not have it; it was added after 0.13.0.
  Fix: use a newer rules_nixpkgs_core, or call `nixpkgs_flake_package` of
       @nix_remote//bzl:nixpkgs.bzl in a module extension of your own.
"""

NO_NODEJS_EXTENSION = """\
nix_remote cannot offer the extension `nix_nodejs`.
  Why: your rules_nixpkgs_nodejs does not have it; it was added in 0.12.0.
  Fix: use a newer rules_nixpkgs_nodejs, or call `nixpkgs_nodejs_configure` of
       @nix_remote//bzl/toolchains:nodejs.bzl in a module extension of your own.
"""

NO_PYTHON = """\
nix_remote found no python3 on PATH.
  Why: the copier is a Python program, and BAZEL_NIX_REMOTE is set.
  Fix: install Python 3.9 or newer with its venv module (Debian: apt install
       python3-venv), or set NIX_REMOTE_PYTHON to a Python that has paramiko and
       sshconf.
"""

PYTHON_UNSUITABLE = """\
nix_remote cannot use the Python {python}.
  Why: Python 3.9 or newer is required. The version check failed with:
{output}
  Fix: put a newer python3 first on PATH, or set NIX_REMOTE_PYTHON to a newer one
       that has paramiko and sshconf.
"""

PYTHON_NOT_ABSOLUTE = """\
nix_remote cannot use NIX_REMOTE_PYTHON={python}.
  Why: it must be an absolute path; fetches do not run in your working directory.
  Fix: set the full path, for instance the output of `command -v {python}`.
"""

PYTHON_LACKS_MODULES = """\
nix_remote cannot use NIX_REMOTE_PYTHON={python}.
  Why: it must have the modules paramiko and sshconf. The import failed with:
{output}
  Fix: install them there, or unset NIX_REMOTE_PYTHON: nix_remote then creates a
       virtual environment that has them.
"""

NO_VIRTUAL_ENVIRONMENT = """\
nix_remote could not create a virtual environment with {python}.
  Why: the copier needs paramiko and sshconf, which nix_remote installs into a
       virtual environment. `{python} -m venv` failed with:
{output}
  Fix: install the venv module (Debian: apt install python3-venv), or set
       NIX_REMOTE_PYTHON to a Python that has paramiko and sshconf.
"""

NO_PACKAGES = """\
nix_remote could not install paramiko and sshconf for its copier.
  Why: pip, or the first import, failed with:
{output}
  Fix: pip reads your configuration: set the proxy, index or certificate in
       pip.conf, or with PIP_PROXY, PIP_INDEX_URL and PIP_CERT (https_proxy also
       works). Or set NIX_REMOTE_PYTHON to a Python that has paramiko and sshconf.
"""

COPIER_BROKEN = """\
nix_remote's copier does not start.
  Why: {python} runs and has the dependencies, but the copier failed with:
{output}
  Fix: this is a defect of nix_remote or of its installation; please report it.
"""

CONFIGURED_TWICE = """\
nix_remote: MODULE.bazel has more than one nix_remote.configure(...).
  Fix: merge them into one.
"""

UNKNOWN_TRANSPORT = """\
nix_remote: unknown transport "{transport}".
  Fix: set `transport` to "auto", "paramiko" or "openssh".
"""

NO_SETTLE_TIME = """\
nix_remote: `settle` is "{settle}", which is not a number of seconds.
  Fix: set `settle` to the `acdirmax` of your executors' mounts, for instance "1".
"""

NOT_A_STORE_PATH = """\
nix_remote: `store_paths` contains "{path}", which is not a store path.
  Why: a store path begins with /nix/store/.
  Fix: use the path that `nix-build` prints for the package.
"""

OLD_BAZEL = """\
nix_remote needs Bazel {oldest} or newer; this is {version}.
  Fix: use a newer Bazel. With bazelisk, name it in a .bazelversion file.
"""
