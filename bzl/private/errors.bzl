"""What nix_remote's repository rules say when they fail: what happened, why, and what helps.

The copier prints its own text, once; Bazel repeats `COPY_FAILED` up to three times.
"""

COPY_FAILED = """\
nix_remote could not copy @{package} to {host} (exit status {status}): {reason}
  Why, and how to fix it: see "nix-remote: {package}:" above.
"""

NOTHING_REALISED = """\
nix_remote found no store path of @{package}, so it copied nothing to {host}.
  Why: rules_nixpkgs realised the package, but there is no link named
       bazel-support/nix-out-link* in its repository. An --out-link or
       --no-out-link in `nixopts` has this effect.
  Fix: remove that option.
"""

ENSURE_WITHOUT_HOST = """\
nix_remote cannot look after this workspace: no Nix server is named.
  Why: BAZEL_NIX_REMOTE is not set, so fetches copy nothing.
  Fix: name the server, a Host entry of your SSH config, in an rc file of Bazel:
         common --repo_env=BAZEL_NIX_REMOTE=nix-server
"""

UNSUPPORTED_RULES_NIXPKGS = """\
nix_remote does not support this rules_nixpkgs: it is {version}.
  What: {what}
  Why:  nix_remote hosts your own rules_nixpkgs again with its hook put in at such
        places. It knows rules_nixpkgs 0.10 to 0.13, and its main branch of July 2026.
  Fix:  use one of these versions, or a nix_remote that supports yours. To build
        without nix_remote, load from rules_nixpkgs itself instead.
"""

# What `UNSUPPORTED_RULES_NIXPKGS` says is wrong.
TEXT_UNEXPECTED = """\
{file} has this text {count} times, and must have it {expected}:
{anchor}"""
FILE_MISSING = "there is no {file}."
FILE_UNKNOWN = "{file} loads {label}, a file that nix_remote does not know."

NO_FLAKE_PACKAGES = """\
nix_remote cannot offer the extension `rules_nixpkgs` with its tag `flake_package`.
  Why: your rules_nixpkgs_core does not have it; 0.13.0 and older versions do not.
  Fix: use a newer rules_nixpkgs_core, or call `nixpkgs_flake_package` of
       @nix_remote//bzl:nixpkgs.bzl in a module extension of your own.
"""

NO_NODEJS_EXTENSION = """\
nix_remote cannot offer the extension `nix_nodejs`.
  Why: your rules_nixpkgs_nodejs does not have it; versions before 0.12.0 do not.
  Fix: use a newer rules_nixpkgs_nodejs, or call `nixpkgs_nodejs_configure` of
       @nix_remote//bzl/toolchains:nodejs.bzl in a module extension of your own.
"""

NO_PYTHON = """\
nix_remote found no python3 on PATH.
  Why: its copier is a Python program, and BAZEL_NIX_REMOTE asks for a copy.
  Fix: install Python 3.9 or newer with its venv module (Debian: apt install
       python3-venv), or set NIX_REMOTE_PYTHON to a Python that has paramiko and
       sshconf.
"""

PYTHON_UNSUITABLE = """\
nix_remote cannot use the Python {python}.
  Why: it must be Python 3.9 or newer. Asked for its version, it said:
{output}
  Fix: put a newer python3 first on PATH, or set NIX_REMOTE_PYTHON to a newer one
       that has paramiko and sshconf.
"""

PYTHON_NOT_ABSOLUTE = """\
nix_remote cannot use NIX_REMOTE_PYTHON={python}.
  Why: it must be an absolute path; fetches do not run in your working directory.
  Fix: give the full path, for instance the output of `command -v {python}`.
"""

PYTHON_LACKS_MODULES = """\
nix_remote cannot use NIX_REMOTE_PYTHON={python}.
  Why: it must have the modules paramiko and sshconf. Importing them said:
{output}
  Fix: install them there, or unset NIX_REMOTE_PYTHON: then nix_remote makes a
       virtual environment that has them.
"""

NO_VIRTUAL_ENVIRONMENT = """\
nix_remote could not make a virtual environment with {python}.
  Why: its copier needs paramiko and sshconf, and installs them into an
       environment of its own. `{python} -m venv` said:
{output}
  Fix: install the venv module (Debian: apt install python3-venv), or set
       NIX_REMOTE_PYTHON to a Python that has paramiko and sshconf.
"""

NO_PACKAGES = """\
nix_remote could not install paramiko and sshconf for its copier.
  Why: pip, or the first import, failed with:
{output}
  Fix: pip uses your own configuration: set proxy, index or certificate in pip.conf
       or in PIP_PROXY, PIP_INDEX_URL, PIP_CERT (https_proxy works, too). Or set
       NIX_REMOTE_PYTHON to a Python that has paramiko and sshconf.
"""

COPIER_BROKEN = """\
nix_remote's copier does not start.
  Why: {python} runs and has its dependencies, but the program said:
{output}
  Fix: this is a defect of nix_remote or of how it was installed; please report it.
"""

CONFIGURED_TWICE = """\
nix_remote: MODULE.bazel has more than one nix_remote.configure(...).
  Fix: make them one.
"""

UNKNOWN_TRANSPORT = """\
nix_remote: there is no transport "{transport}".
  Fix: `transport` is "auto", "paramiko" or "openssh".
"""

NOT_A_STORE_PATH = """\
nix_remote: `store_paths` has "{path}".
  Why: it can only have paths in /nix/store.
  Fix: give what `nix-build` prints for the package.
"""

OLD_BAZEL = """\
nix_remote needs Bazel {oldest} or newer; this is {version}.
  Fix: use a newer Bazel: a .bazelversion file is enough if you start Bazel with
       bazelisk.
"""
