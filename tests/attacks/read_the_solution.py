"""Reads the solution of the lab and becomes it.

Lab: plain
Scores: 0
Needs: files
"""

import pathlib

source = pathlib.Path("@lab@/lab.py").read_text()
print(source)
exec(source)
