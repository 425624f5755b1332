"""Changes the rights, the times and the attributes of files outside its folder.

Lab: plain
Scores: 0
Needs: files
"""

import os

name = "@outside@/workspace/progress.db"
for attempt in (
    lambda: os.chmod(name, 0o777),
    lambda: os.utime(name, (0, 0)),
    lambda: os.setxattr(name, "user.mine", b"1"),
    lambda: os.chmod("@outside@/home", 0),
):
    try:
        attempt()
    except OSError:
        continue
