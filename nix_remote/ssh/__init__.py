"""SSH: resolves a host's config, verifies its host key, logs in, and runs commands on it.

Exceptions of SSH libraries and the operating system do not leave this package.
"""

import importlib
import sys

if "paramiko" not in sys.modules and "invoke" not in sys.modules:
    # paramiko uses invoke for one SSH config directive, and works without it. Importing it
    # takes longer than the rest of paramiko.
    sys.modules["invoke"] = None  # type: ignore[assignment]
    try:
        importlib.import_module("paramiko")
    finally:
        del sys.modules["invoke"]
