"""nix_remote: brings Nix store paths to where Bazel's remote actions run.

What is listed in `__all__` is for users; everything else may change.
"""

from nix_remote.errors import NixRemoteError

__version__ = "0.1.0"

__all__ = ["NixRemoteError", "__version__"]
