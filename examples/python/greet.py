"""Prints a greeting and the interpreter that runs this program."""

import json
import sys

json.dump({"greeting": "Hello", "interpreter": sys.executable}, sys.stdout)
