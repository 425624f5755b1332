"""Kills its own process group and everything that it can reach with kill(0).

Lab: plain
Scores: 0
"""

import os
import signal

os.killpg(0, signal.SIGKILL)
