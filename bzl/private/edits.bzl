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
    return struct(anchor = anchor, optional = optional, replacement = replacement, times = 1)

def occurring(anchor, times):
    """A text that stays as it is, and must be there a number of times.

    Args:
      anchor: the text
      times: how often

    Returns:
      a struct for `edited`
    """
    return struct(anchor = anchor, optional = False, replacement = anchor, times = times)

def edited(text, edits):
    """Makes replacements, all or none.

    Args:
      text: what a file contains
      edits: a list of `replacing(...)` and `occurring(...)`

    Returns:
      a struct with `text`, the new text, and `refused`, None. If an anchor is not
      there as often as it must be, `text` is None and `refused` has its `anchor`, its
      `count`, and `times`, what that must be.
    """
    for edit in edits:
        count = text.count(edit.anchor)
        if count == 0 and edit.optional:
            continue
        if count != edit.times:
            refused = struct(anchor = edit.anchor, count = count, times = edit.times)
            return struct(refused = refused, text = None)
        text = text.replace(edit.anchor, edit.replacement)
    return struct(refused = None, text = text)

def loaded_files(text):
    """The files of its own module that a .bzl file loads.

    Args:
      text: what the file contains

    Returns:
      a list of labels, as they are written
    """

    # From the first function on, `load` may stand in a text.
    statements = text.partition("\ndef ")[0]
    return [
        word
        for word in statements.split("\"")[1::2]
        if word.endswith(".bzl") and word.startswith((":", "//"))
    ]

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
