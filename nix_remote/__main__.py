"""`python -m nix_remote`."""

import sys

from nix_remote.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
