"""Quotes words for shell scripts.

Without skylib: a WORKSPACE file loads the hook before it declares skylib.
"""

def quoted(word):
    """Quotes one word of a shell script.

    Args:
      word: a string, or a path

    Returns:
      a string, in single quotes
    """
    return "'%s'" % str(word).replace("'", "'\\''")
