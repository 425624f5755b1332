"""Deletes the workspace, the labs and the home folder.

Lab: plain
Scores: 0
Needs: files
"""

import shutil

for name in ("workspace", "labs", "home"):
    shutil.rmtree(f"@outside@/{name}", ignore_errors=True)
