"""Which package may import which; and what a module that calls itself pure may import."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

import nix_remote

PACKAGE = Path(nix_remote.__file__).parent

# Top first. A package may import those in the lines below its own, and no other.
LAYERS: Final = (
    ("__main__",),
    ("cli",),
    ("agent", "doctor"),
    ("setup", "copy"),
    ("server",),
    ("local", "remote_execution"),
    ("ssh",),
    ("settings", "processes", "events", "output_base"),
    ("errors", "manifests", "private_key", "protocol"),
    ("files", "wire"),
    ("store",),
    ("text",),
)
# The same within `ssh`, whose own modules hide its packages from all others.
SSH_LAYERS: Final = (
    ("connect",),
    ("openssh", "paramiko"),
    ("host_key_check",),
    ("config",),
    ("keys",),
    ("memory",),
    ("transport", "backoff", "greeting", "patterns"),
)

# All of these packages, and every module whose docstring says "Pure" or "Sans-IO".
PURE_PACKAGES: Final = ("text", "store", "wire", "protocol", "errors", "events")
# No socket, no file, no clock, no log, no threads: bytes and values only.
PURE_MODULES: Final = {
    *("__future__", "collections", "dataclasses", "enum", "hashlib", "pathlib", "re", "shlex"),
    *("base64", "binascii", "hmac", "json", "cryptography", "types", "typing", "nix_remote"),
    *("ipaddress", "urllib", "abc", "heapq", "functools", "importlib", "itertools", "posixpath"),
    *("difflib", "sshconf"),  # their functions for text
}

THIN_CLIENT: Final = "agent.thin_client"

LONGEST_MODULE: Final = 300
LONGEST_FUNCTION: Final = 50

MODULES = sorted(
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts) for file in PACKAGE.rglob("*.py")
)


def tree_of(module: str) -> ast.Module:
    return ast.parse((PACKAGE / (module.replace(".", "/") + ".py")).read_text())


def imports(module: str) -> set[str]:
    """Full names of everything a module imports, functions and classes included."""
    found = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # The thin client runs under two names; its own modules are below it under both.
            relative = node.level == 1 and module.startswith(f"{THIN_CLIENT}.")
            assert node.level == 0 or relative, f"{module}: a relative import"
            base = f"nix_remote.{THIN_CLIENT}.{node.module}" if relative else node.module
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def own(names: set[str]) -> set[str]:
    """Of imported names, the modules of this package."""
    parts = {name[len("nix_remote.") :] for name in names if name.startswith("nix_remote.")}
    modules = set()
    for part in parts:
        pieces = part.split(".")
        for end in range(len(pieces), 0, -1):
            candidate = ".".join(pieces[:end])
            known = {candidate, f"{candidate}.__init__"} & set(MODULES)
            if known:
                modules |= known
                break
    return modules


def layer(layers: tuple[tuple[str, ...], ...], name: str) -> int:
    for number, names in enumerate(layers):
        if name in names:
            return number
    raise AssertionError(f"{name} has no layer: decide where it belongs")


def check(layers: tuple[tuple[str, ...], ...], package: str, imported: set[str]) -> None:
    for other in imported - {package}:
        assert layer(layers, other) > layer(layers, package), (
            f"{package} imports {other}, which is not below it"
        )


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_packages_below_its_own(module: str) -> None:
    package = module.split(".")[0]
    if package == "__init__":
        return  # what users import from everywhere
    check(LAYERS, package, {name.split(".")[0] for name in own(imports(module))} - {"__init__"})


def of_ssh(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("ssh.")} - {"__init__"}


@pytest.mark.parametrize("package", sorted(of_ssh(set(MODULES))))
def test_within_ssh_too(package: str) -> None:
    modules = [module for module in MODULES if module.split(".")[:2] == ["ssh", package]]
    check(SSH_LAYERS, package, {name for m in modules for name in of_ssh(own(imports(m)))})


def test_no_modules_import_each_other() -> None:
    below = {module: own(imports(module)) - {module} for module in MODULES}
    while below:
        free = {module for module, imported in below.items() if not imported & set(below)}
        assert free, f"cycles among {sorted(below)}"
        below = {module: imported for module, imported in below.items() if module not in free}


def is_pure(module: str) -> bool:
    said = ast.get_docstring(tree_of(module)) or ""
    named = re.search(r"\b(Pure|Sans-IO)\b", said) is not None
    return named or module.split(".")[0] in PURE_PACKAGES


@pytest.mark.parametrize("module", [each for each in MODULES if is_pure(each)])
def test_pure_modules_import_nothing_that_could_do_io(module: str) -> None:
    used = {name.split(".")[0] for name in imports(module)}
    assert used <= PURE_MODULES, f"{module} imports {sorted(used - PURE_MODULES)}"


@pytest.mark.parametrize("module", MODULES)
def test_a_module_and_its_functions_are_short(module: str) -> None:
    text = (PACKAGE / (module.replace(".", "/") + ".py")).read_text()
    assert len(text.splitlines()) <= LONGEST_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name


def test_processes_are_started_in_one_place_only() -> None:
    users = [m for m in MODULES if any(n.startswith("subprocess") for n in imports(m))]
    assert {user.split(".")[0] for user in users} == {"processes"}


def test_the_environment_is_read_in_one_place_only() -> None:
    def reads_it(module: str) -> bool:
        tree = ast.parse((PACKAGE / (module.replace(".", "/") + ".py")).read_text())
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        return not names.isdisjoint({"environ", "getenv", "environb"})

    # The thin client has to do without the rest of the package.
    assert [module for module in MODULES if reads_it(module)] == [
        "agent.thin_client.__init__",
        "agent.thin_client.connecting",
        "settings",
    ]


def test_the_thin_client_needs_nothing_but_pythons_own_core() -> None:
    core = {"__future__", "_signal", "_socket", "fcntl", "os", "sys", "time"}
    modules = [module for module in MODULES if module.startswith(f"{THIN_CLIENT}.")]
    assert modules
    used = set().union(*map(imports, modules))
    foreign = {name for name in used if not name.startswith(f"nix_remote.{THIN_CLIENT}.")}
    assert {name.split(".")[0] for name in foreign} <= core | {"typing"}


def test_only_the_ssh_package_knows_paramiko() -> None:
    users = {
        m.split(".")[0]
        for m in MODULES
        if any("paramiko." in f"{n}." for n in imports(m) if not n.startswith("nix_remote"))
    }
    assert users == {"ssh"}


def test_only_the_service_knows_grpc() -> None:
    users = [m for m in MODULES if any(f"{n}.".startswith("grpc.") for n in imports(m))]
    assert users == ["remote_execution.service"]


def calls(module: str) -> set[str]:
    """The names of the functions that a module calls, and of the attributes that it uses."""
    tree = ast.parse((PACKAGE / (module.replace(".", "/") + ".py")).read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(f".{node.attr}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.add(node.func.id)
    return found


# Bytes become text here without being a `PeerText`. What each makes of them is checked, or
# escaped by what shows it.
DECODING = {
    "agent.thin_client.__init__": "texts that the agent has made printable, without the package",
    "agent.thin_client.framing": "the version of the agent, in the reason to work alone",
    "agent.lifecycle": "the words of the agent, in an error",
    "agent.protocol": "arguments and environment of a client, which is this user",
    "local.signing": "base 64",
    "private_key": "hexadecimal digits",
    "remote_execution.protobuf": "fields of messages, of which the service makes `PeerText`",
    "ssh.keys.ssh_agent": "comments of keys, in errors",
    "ssh.keys.certificates": "names that are compared, and shown in errors",
    "ssh.keys.key_files": "a private key of this user",
    "ssh.keys.known_hosts": "base 64, and names that are compared",
    "text": "where `PeerText` is",
    "wire.codec": "texts that are parsed, and not shown",
    "store.paths": "base 32",
}


def test_bytes_become_text_in_known_places_only() -> None:
    found = {module for module in MODULES if ".decode" in calls(module)}
    assert found <= set(DECODING), "make a PeerText of what comes from outside"


# `int` and `float` take digits of all scripts, blanks, signs and underscores; `isdigit` is true
# of what `int` refuses. Here they are given what has been checked before.
PARSING = {
    "agent.thin_client.__init__": "has to do without the package: bytes, whose digits are ASCII",
    "agent.thin_client.leadership": "numbers that the program before it in the process has written",
    "doctor.on_executor": "runs by itself, and has a check of its own",
    "ssh.config.syntax": "what a pattern of ASCII digits has matched",
    "ssh.openssh.diagnostics": "what a pattern of ASCII digits has matched",
    "text": "where `decimal` is",
}
CONVERTING = {
    "cli.copy_options",
    "cli.roots",
    "cli.setup_files",
    "copy.retry",
    "server.gc_roots.retention",
    "ssh.config.resolve",
    "ssh.backoff",
}
"""These turn one kind of number into another."""


def test_numbers_from_outside_are_parsed_in_one_place_only() -> None:
    parsing = {"int", "float", ".isdigit", ".isdecimal", ".isnumeric"}
    found = {module for module in MODULES if calls(module) & parsing}
    assert found <= {*PARSING, *CONVERTING}, "use nix_remote.text.decimal"
