"""Compares versions of Bazel."""

def this_bazel():
    """The version of the Bazel that loads repository rules.

    Returns:
      a string; empty if it was built from source, and in a file that a BUILD file loads
    """
    return getattr(native, "bazel_version", "")

def is_older(version, oldest):
    """Whether a Bazel is older than another.

    Args:
      version: what it says, for instance `7.1.0rc2`; empty if it was built from source
      oldest: three numbers with dots between them

    Returns:
      False if the version is not known
    """
    if not version:
        return False
    return _numbers(version) < _numbers(oldest)

def _numbers(version):
    numbers = []
    for part in version.split("-")[0].split(" ")[0].split(".")[:3]:
        digits = part
        for other in part.elems():
            if not other.isdigit():
                digits = part.partition(other)[0]
                break
        numbers.append(int(digits or "0"))
    return numbers
