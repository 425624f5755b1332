"""Writes, appends, truncates, renames and makes files outside its folder.

Lab: plain
Scores: 0
Needs: files
"""

import os
import shutil

for attempt in (
    lambda: open("@outside@/workspace/progress.db", "a").write("passed"),
    lambda: os.truncate("@outside@/workspace/progress.db", 0),
    lambda: open("@outside@/workspace/new", "w"),
    lambda: os.rename("@outside@/workspace/progress.db", "@outside@/workspace/moved"),
    lambda: os.rename("@outside@/workspace/progress.db", "mine"),
    lambda: os.mkdir("@outside@/labs/new"),
    lambda: os.symlink("/", "@outside@/home/link"),
    lambda: os.mkfifo("@outside@/home/pipe"),
    lambda: shutil.copy(__file__, "@lab@/checks.py"),
    lambda: open("../beside", "w"),
):
    try:
        attempt()
    except OSError:
        continue
