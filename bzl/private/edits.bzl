"""Replaces texts in a file of rules_nixpkgs, if each of them is where it is expected.

Pure: nothing here reads or writes a file.
"""

def replacing(anchor, replacement, optional = False):
    """A replacement.

    Args:
      anchor: the text to replace, which must occur exactly once
      replacement: the new text
      optional: whether the text may be absent: some supported versions lack it

    Returns:
      a struct for `edited`
    """
    return struct(anchor = anchor, optional = optional, replacement = replacement, times = 1)

def occurring(anchor, times):
    """A text that stays unchanged and must occur a number of times.

    Args:
      anchor: the text
      times: the number

    Returns:
      a struct for `edited`
    """
    return struct(anchor = anchor, optional = False, replacement = anchor, times = times)

def edited(text, edits):
    """Makes all replacements, or none.

    Args:
      text: the content of a file
      edits: a list of `replacing(...)` and `occurring(...)`

    Returns:
      a struct with `text`, the new text, and `refused`, None. If an anchor does not
      occur as often as it must, `text` is None and `refused` has the `anchor`, its
      `count`, and `times`, the expected count.
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
      text: the content of the file

    Returns:
      a list of labels, as written
    """

    # After the first function, `load` may be part of a string.
    statements = text.partition("\ndef ")[0]
    return [
        word
        for word in statements.split("\"")[1::2]
        if word.endswith(".bzl") and word.startswith((":", "//"))
    ]

def module_version(text):
    """The version of the module that a MODULE.bazel file declares.

    Args:
      text: the content of the file

    Returns:
      a string; empty if it declares none
    """
    for line in text.splitlines():
        name, _, value = line.strip().partition("=")
        if name.strip() == "version":
            return value.strip(" \",")
        if line.startswith(")"):
            break
    return ""
