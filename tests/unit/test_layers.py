"""Who may import whom. The order below is the order of the house: arrows go down only."""

import ast
from pathlib import Path

import pytest

import nix_remote

PACKAGE = Path(nix_remote.__file__).parent

# Top first. A module may import what is below its own line, and its own line.
LAYERS = [
    ["__main__", "__init__"],
    ["cli"],
    ["agent.lifecycle", "agent.lines"],
    ["agent.server", "agent.line", "agent.broadcast"],
    ["agent.kept_session", "agent.place", "agent.sharing", "agent.threads", "agent.shortage"],
    ["copy.engine", "doctor", "setup"],
    ["remote", "local", "remote_execution"],
    ["ssh"],
    ["settings", "processes", "events", "copy.retry", "output_base"],
    ["errors", "manifests", "private_key", "files"],
    ["agent.protocol", "agent.belief", "agent.__init__"],
    ["agent.client"],
    ["protocol", "copy.closure", "copy.plan", "copy.__init__"],
    ["wire"],
    ["text"],
]

# No socket, no file, no clock, no log, no threads: bytes and values only.
SANS_IO = [
    *(
        "text",
        "wire",
        "protocol",
        "copy.closure",
        "copy.plan",
        "copy.retry",
        "events",
        "errors",
        "manifests",
    ),
    "local.signing",
    *("remote.gc_roots", "remote.refusals", "remote.retention", "remote.store"),
    *(
        "remote.trust",
        "remote.forwarding_store",
        "remote.signing_store",
        "ssh.openssh_messages",
        "agent.protocol",
        "agent.sharing",
    ),
    *("doctor.advisories", "doctor.disks", "doctor.exports", "doctor.finding", "doctor.workspace"),
    "doctor.trusted_users",
    *("remote_execution.endpoint", "remote_execution.look"),
    *("remote_execution.messages", "remote_execution.protobuf"),
    *("setup.bundle", "setup.nfs", "setup.executor", "setup.kubernetes"),
    *("setup.agent_units", "setup.bazel_flags", "setup.server", "setup.nixos"),
]
PURE_MODULES = {
    *("__future__", "collections", "dataclasses", "enum", "hashlib", "pathlib", "re", "shlex"),
    *("base64", "binascii", "hmac", "json", "cryptography", "types", "typing", "nix_remote"),
    *("ipaddress", "urllib"),
}

MODULES = sorted(
    ".".join(file.relative_to(PACKAGE).with_suffix("").parts) for file in PACKAGE.rglob("*.py")
)


def layer(module: str) -> int:
    for number, prefixes in enumerate(LAYERS):
        if any(module == prefix or module.startswith(f"{prefix}.") for prefix in prefixes):
            return number
    raise AssertionError(f"{module} has no layer: decide where it belongs")


def imports(module: str) -> set[str]:
    """Full names of everything a module imports, functions and classes included."""
    tree = ast.parse((PACKAGE / (module.replace(".", "/") + ".py")).read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own(names: set[str]) -> set[str]:
    """Of imported names, the modules of this package."""
    parts = {name[len("nix_remote.") :] for name in names if name.startswith("nix_remote.")}
    modules = set()
    for part in parts:
        pieces = part.split(".")
        for end in range(len(pieces), 0, -1):
            candidate = ".".join(pieces[:end])
            if candidate in MODULES:
                modules.add(candidate)
                break
    return modules


@pytest.mark.parametrize("module", MODULES)
def test_arrows_go_down_only(module: str) -> None:
    for imported in own(imports(module)):
        assert layer(imported) >= layer(module), f"{module} imports {imported}, which is above it"


@pytest.mark.parametrize("module", MODULES)
def test_sans_io_modules_import_nothing_that_could_do_io(module: str) -> None:
    if any(module == prefix or module.startswith(f"{prefix}.") for prefix in SANS_IO):
        used = {name.split(".")[0] for name in imports(module)}
        assert used <= PURE_MODULES, f"{module} imports {sorted(used - PURE_MODULES)}"


def test_processes_are_started_in_one_place_only() -> None:
    users = [m for m in MODULES if any(n.startswith("subprocess") for n in imports(m))]
    assert users == ["processes"]


def test_the_environment_is_read_in_one_place_only() -> None:
    def reads_it(module: str) -> bool:
        tree = ast.parse((PACKAGE / (module.replace(".", "/") + ".py")).read_text())
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        return not names.isdisjoint({"environ", "getenv", "environb"})

    # The thin client has to do without the rest of the package.
    assert [module for module in MODULES if reads_it(module)] == ["agent.client", "settings"]


def test_the_thin_client_needs_nothing_but_pythons_own_core() -> None:
    core = {"__future__", "_signal", "_socket", "fcntl", "os", "sys", "time"}
    used = {name.split(".")[0] for name in imports("agent.client")} - {"typing"}
    assert used <= core


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
    "agent.client": "has to do without the package; what it shows, the agent has made printable",
    "agent.lifecycle": "the words of the agent, in an error",
    "agent.protocol": "arguments and environment of a client, which is this user",
    "local.signing": "base 64",
    "private_key": "hexadecimal digits",
    "remote_execution.protobuf": "fields of messages, of which the service makes `PeerText`",
    "ssh.agent": "comments of keys, in errors",
    "ssh.certificates": "names that are compared, and shown in errors",
    "ssh.key_files": "a private key of this user",
    "ssh.known_hosts": "base 64, and names that are compared",
    "text": "where `PeerText` is",
    "wire.codec": "texts that are parsed, and not shown",
    "wire.types": "base 32",
}


def test_bytes_become_text_in_known_places_only() -> None:
    found = {module for module in MODULES if ".decode" in calls(module)}
    assert found <= set(DECODING), "make a PeerText of what comes from outside"


# `int` and `float` take digits of all scripts, blanks, signs and underscores; `isdigit` is true
# of what `int` refuses. Here they are given what has been checked before.
PARSING = {
    "agent.client": "has to do without the package: bytes, whose digits are ASCII",
    "doctor.on_executor": "runs by itself, and has a check of its own",
    "ssh.config_syntax": "what a pattern of ASCII digits has matched",
    "ssh.openssh_messages": "what a pattern of ASCII digits has matched",
    "text": "where `decimal` is",
}
CONVERTING = {
    "cli.order",
    "cli.roots",
    "cli.setup_files",
    "copy.retry",
    "remote.retention",
    "ssh.config",
    "ssh.patience",
}
"""These turn one kind of number into another."""


def test_numbers_from_outside_are_parsed_in_one_place_only() -> None:
    parsing = {"int", "float", ".isdigit", ".isdecimal", ".isnumeric"}
    found = {module for module in MODULES if calls(module) & parsing}
    assert found <= {*PARSING, *CONVERTING}, "use nix_remote.text.decimal"
