"""Replaces texts in a file of rules_nixpkgs: each where it is expected, or not at all.

Values in, values out: nothing here reads or writes a file.
"""

def replacing(anchor, replacement, optional = False):
    """A replacement to make.

    Args:
      anchor: the text that must be there, exactly once
      replacement: what takes its place
      optional: whether some supported versions do not have the text

    Returns:
      a struct for `edited`
    """
    return struct(anchor = anchor, optional = optional, replacement = replacement)

def edited(text, edits):
    """Makes replacements, all or none.

    Args:
      text: what a file contains
      edits: a list of `replacing(...)`

    Returns:
      a struct with `text`, the new text, and `refused`, None. If an anchor is not
      there exactly once, `text` is None and `refused` has its `anchor` and `count`.
    """
    for edit in edits:
        count = text.count(edit.anchor)
        if count == 0 and edit.optional:
            continue
        if count != 1:
            return struct(refused = struct(anchor = edit.anchor, count = count), text = None)
        text = text.replace(edit.anchor, edit.replacement)
    return struct(refused = None, text = text)

def module_version(text):
    """The version that a MODULE.bazel file gives its module.

    Args:
      text: what the file contains

    Returns:
      a string; empty if there is none
    """
    for line in text.splitlines():
        name, _, value = line.strip().partition("=")
        if name.strip() == "version":
            return value.strip(" \",")
        if line.startswith(")"):
            break
    return ""
