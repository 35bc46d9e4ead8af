"""Generates docs/reference/bazel.md from the docstrings of the public .bzl files.

    python -m tests.bazel_reference

The files are parsed as Python, which their syntax allows; nothing is run.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Iterator, Optional

_ROOT = Path(__file__).parents[1]

REFERENCE = _ROOT / "docs" / "reference" / "bazel.md"

_HEADER = """\
# Bazel: every name that can be loaded

Generated from the files in `bzl` by `python -m tests.bazel_reference`; do not edit.
[In a Bazel workspace](../bazel.md) explains how to use these names.

Macros, rules and extensions that replace those of rules_nixpkgs have the same arguments, which
[rules_nixpkgs](https://github.com/tweag/rules_nixpkgs) documents.
"""


def generate() -> str:
    """The content of docs/reference/bazel.md."""
    files = [*sorted((_ROOT / "bzl").glob("*.bzl")), *sorted((_ROOT / "bzl/toolchains").glob("*"))]
    sections = [_section(file) for file in files if file.suffix == ".bzl"]
    return "\n".join([_HEADER, *sections])


def _section(file: Path) -> str:
    tree = ast.parse(file.read_text())
    package, name = file.parent.relative_to(_ROOT).as_posix(), file.name
    lines = [
        f"## `@nix_remote//{package}:{name}`",
        "",
        ast.get_docstring(tree, clean=False) or "",
        "",
    ]
    tag_classes: dict[str, ast.Call] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            lines += _function(node)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            target, value = node.targets[0].id, node.value
            if _is_call(value, "tag_class"):
                assert isinstance(value, ast.Call)
                tag_classes[target] = value
            elif _is_call(value, "module_extension"):
                assert isinstance(value, ast.Call)
                lines += _extension(target, value, tag_classes)
            elif not target.startswith("_"):
                lines += [f"* `{target}`"]
    return "\n".join(lines).rstrip() + "\n"


def _function(node: ast.FunctionDef) -> Iterator[str]:
    yield f"### `{node.name}({ast.unparse(node.args)})`"
    yield ""
    text = inspect.cleandoc(ast.get_docstring(node) or "")
    before, _, arguments = text.partition("\nArgs:\n")
    yield before.strip()
    yield ""
    for line in inspect.cleandoc(arguments).splitlines():
        name, colon, rest = line.partition(": ")
        is_argument = colon and not line.startswith(" ") and name.isidentifier()
        yield f"* `{name}`: {rest}" if is_argument else line.replace("**kwargs: ", "* others: ")
    yield ""


def _extension(name: str, call: ast.Call, tag_classes: dict[str, ast.Call]) -> Iterator[str]:
    yield f"### `{name}`, a module extension"
    yield ""
    yield _text(_keyword(call, "doc"))
    classes = _keyword(call, "tag_classes")
    assert isinstance(classes, ast.Dict)
    for key, value in zip(classes.keys, classes.values):
        assert isinstance(value, ast.Name)
        tag_class = tag_classes[value.id]
        yield ""
        yield f"#### `{name}.{_text(key)}(...)`"
        yield ""
        yield _text(_keyword(tag_class, "doc"))
        yield ""
        attributes = _keyword(tag_class, "attrs")
        assert isinstance(attributes, ast.Dict)
        for attribute, kind in zip(attributes.keys, attributes.values):
            assert isinstance(kind, ast.Call)
            assert isinstance(kind.func, ast.Attribute)
            yield f"* `{_text(attribute)}` ({kind.func.attr}): {_text(_keyword(kind, 'doc'))}"


def _is_call(node: ast.expr, function: str) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == function
    )


def _keyword(call: ast.Call, name: str) -> Optional[ast.expr]:
    return next((word.value for word in call.keywords if word.arg == name), None)


def _text(node: Optional[ast.expr]) -> str:
    """The value of a string, or of a concatenation of strings."""
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    assert isinstance(node, ast.Constant), "not documented"
    return str(node.value)


if __name__ == "__main__":
    REFERENCE.write_text(generate())
