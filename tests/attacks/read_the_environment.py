"""Prints the environment and the arguments of itself, of its parents and of the judge.

Lab: plain
Scores: 0
Needs: files
"""

import os
import sys

print(dict(os.environ), sys.argv, sys.orig_argv)
for process in ("self", os.getppid(), int("@pid@"), os.getpid() + 1):
    for name in ("environ", "cmdline", "maps", "fd/0", "fd/3", "fd/4"):
        try:
            print(open(f"/proc/{process}/{name}", "rb").read())
        except OSError:
            continue
