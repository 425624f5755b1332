"""Reads the home folder, the keys in it and the progress of the workspace.

Lab: plain
Scores: 0
Needs: files
"""

import os
import pathlib

for folder in ("@outside@/home", "@outside@/workspace", os.path.expanduser("~root"), "/tmp"):
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                print(pathlib.Path(path, name).read_text())
            except (OSError, UnicodeError):
                continue
