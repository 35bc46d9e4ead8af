"""A Bazel instead of Debian's, with a registry that is generated from a folder of modules.

A host of the lab cannot download anything. Debian's Bazel finds its modules in Debian's packages;
another Bazel finds them in a registry on the host. Belongs here: the program
and the registry. Not: the other options that Bazel gets in a lab (`bazel.py`).
"""

from __future__ import annotations

import ast
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Iterable, Iterator, Mapping

from lab.commands import LabError
from lab.host import Host

_FOLDER: Final = "/opt/other-bazel"
_PROGRAM: Final = f"{_FOLDER}/bazel"
_MODULES: Final = f"{_FOLDER}/modules"
_REGISTRY: Final = f"{_FOLDER}/registry"
_EMPTY: Final = f"{_FOLDER}/empty"

VERSION_OF_TESTS: Final = "0.0.1"
"""The version in workspaces of tests that accept any version."""


@dataclass(frozen=True)
class OtherBazel:
    """The values of `--bazel` and `--registry-modules`, on the outer machine."""

    program: Path
    modules: Path
    """Each folder in it has the source of a module."""


def install(host: Host, other: OtherBazel, stubs: Path, users: Iterable[Path]) -> list[str]:
    """Makes it the host's `bazel`. Returns lines for an rc file.

    `stubs` has modules as well, for what `other` has none of; `users` are MODULE.bazel files that
    ask for modules. Raises `LabError` if the folder has no modules.
    """
    host.sh(f"rm -rf {_FOLDER}; mkdir -p {_EMPTY}")
    host.write(f"{_EMPTY}/BUILD.bazel", "")
    host.write(f"{_EMPTY}/MODULE.bazel", "")
    unpack = f"cat >{_PROGRAM}; chmod 755 {_PROGRAM}"
    host.run(["bash", "-euc", unpack], stdin=other.program.read_bytes()).check()
    # The system's rc file is for Debian's Bazel.
    script = f'#!/bin/sh\nexec {_PROGRAM} --nosystem_rc "$@"\n'
    host.write("/usr/local/bin/bazel", script, mode="755")
    sources = {}
    for folder in (stubs, other.modules):
        for path in sorted(folder.glob("*/MODULE.bazel")):
            name, text = path.parent.name, path.read_text()
            host.put(path.parent, f"{_MODULES}/{folder.name}/{name}")
            sources[_name(text) or name] = (f"{_MODULES}/{folder.name}/{name}", text)
    if not any(other.modules.glob("*/MODULE.bazel")):
        raise LabError(f"no folder in {other.modules} has a MODULE.bazel file")
    command = ["env", f"--chdir={_EMPTY}", "bazel", "info", "install_base"]
    base = host.run(command, timeout=120).check().stdout.strip()
    own = host.read(f"{base}/embedded_tools/MODULE.bazel")
    asked = [own, *(path.read_text() for path in users)]
    with tempfile.TemporaryDirectory() as scratch:
        for name, text in registry(sources, asked).items():
            file = Path(scratch, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        host.put(Path(scratch), _REGISTRY)
    return [f"common --registry=file://{_REGISTRY}"]


def is_installed(host: Host) -> bool:
    """Whether the host's `bazel` is one that was installed here."""
    return host.run(["test", "-e", _PROGRAM]).status == 0


def registry(sources: Mapping[str, tuple[str, str]], asked: Iterable[str]) -> dict[str, str]:
    """The files of a registry that has every requested version.

    `sources` has the folder of each module and the content of its MODULE.bazel file; `asked`, the
    content of other MODULE.bazel files. A module without a source is empty: most modules of a
    build are never loaded.
    """
    texts = [text for _, text in sources.values()]
    wanted = {pair for text in (*texts, *asked) for pair in _dependencies(text)}
    wanted |= {(name, VERSION_OF_TESTS) for name in sources}
    files = {"bazel_registry.json": "{}\n"}
    for name, version in sorted(wanted):
        folder, text = sources.get(name, (_EMPTY, f'module(name = "{name}")\n'))
        files[f"modules/{name}/{version}/MODULE.bazel"] = _with_version(text, name, version)
        source = {"type": "local_path", "path": folder}
        files[f"modules/{name}/{version}/source.json"] = json.dumps(source) + "\n"
    return files


def _calls(text: str, function: str) -> Iterator[ast.Call]:
    # The language of these files is a subset of Python's.
    for node in ast.parse(text).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value.func
            if isinstance(called, ast.Name) and called.id == function:
                yield node.value


def _arguments(call: ast.Call) -> dict[str, str]:
    """The arguments by name, as they are written in Python."""
    positional = dict(zip(("name", "version"), map(ast.unparse, call.args)))
    named = {each.arg: ast.unparse(each.value) for each in call.keywords if each.arg}
    return positional | named


def _name(text: str) -> str:
    names = [_arguments(call).get("name", "''") for call in _calls(text, "module")]
    return str(ast.literal_eval(names[0])) if names else ""


def _dependencies(text: str) -> Iterator[tuple[str, str]]:
    for call in _calls(text, "bazel_dep"):
        arguments = _arguments(call)
        if "version" in arguments:
            yield ast.literal_eval(arguments["name"]), ast.literal_eval(arguments["version"])


def _with_version(text: str, name: str, version: str) -> str:
    """The file as a registry has it: a source of any version takes the place of all others."""
    lines = text.splitlines()
    arguments = {}
    for call in _calls(text, "module"):
        arguments = _arguments(call)
        assert call.end_lineno is not None
        lines[call.lineno - 1 : call.end_lineno] = []
    arguments |= {"name": repr(name), "version": repr(version)}
    named = ", ".join(f"{key} = {value}" for key, value in arguments.items())
    head = f"module({named})"
    # Only a docstring may precede `module`.
    return "\n".join([head, *lines]) + "\n"
