"""Says who says it."""

import json
import sys

json.dump({"greeting": "Hello", "interpreter": sys.executable}, sys.stdout)
