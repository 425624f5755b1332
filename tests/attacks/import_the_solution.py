"""Imports the solution from its folder, and from its byte code.

Lab: plain
Scores: 0
Needs: files
"""

import glob
import importlib.util
import sys

sys.path.insert(0, "@lab@")
sys.dont_write_bytecode = True
import lab  # noqa: E402

globals().update(vars(lab))
for name in glob.glob("@lab@/__pycache__/*.pyc"):
    exec(open(name, "rb").read())
