"""Kills the process that started it, and the one that grades.

Lab: plain
Scores: 0
Needs: signals
"""

import os
import signal

for process in (os.getppid(), int("@pid@")):
    try:
        os.kill(process, signal.SIGKILL)
    except PermissionError:
        print("refused")
