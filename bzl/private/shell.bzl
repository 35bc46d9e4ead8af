"""Text for shell scripts.

Not that of skylib: what hooks into rules_nixpkgs is loaded before a WORKSPACE declares it.
"""

def quoted(word):
    """One word of a shell script.

    Args:
      word: a string, or a path

    Returns:
      a string, in single quotes
    """
    return "'%s'" % str(word).replace("'", "'\\''")
