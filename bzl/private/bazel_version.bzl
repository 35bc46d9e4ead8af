"""Compares versions of Bazel."""

def this_bazel():
    """The version of the running Bazel.

    Returns:
      a string; empty if Bazel was built from source, and in a file that a BUILD file loads
    """
    return getattr(native, "bazel_version", "")

def is_older(version, oldest):
    """Whether a version of Bazel is older than another.

    Args:
      version: for instance `7.1.0rc2`; empty if Bazel was built from source
      oldest: three numbers with dots between them

    Returns:
      False if the version is unknown
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
