"""SSH: which host is meant, whether it is the right one, and a channel to a command on it.

Exceptions of SSH libraries and of the operating system never leave this package.
"""

import importlib
import sys

if "paramiko" not in sys.modules and "invoke" not in sys.modules:
    # paramiko takes it for one directive of SSH configs, and can do without. Loading it
    # would take longer than all the rest of paramiko, in every copy.
    sys.modules["invoke"] = None  # type: ignore[assignment]
    try:
        importlib.import_module("paramiko")
    finally:
        del sys.modules["invoke"]
