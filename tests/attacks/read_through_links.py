"""Makes symbolic and hard links to what it may not read, and reads those.

Lab: plain
Scores: 0
Needs: files
"""

import os

for name in ("labs/plain/lab.py", "workspace/progress.db"):
    for link in (os.symlink, os.link):
        try:
            link(f"@outside@/{name}", f"mine-{link.__name__}")
            print(open(f"mine-{link.__name__}").read())
        except OSError:
            pass
