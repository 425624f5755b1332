"""Attaches to the judge with ptrace, and reads and writes its memory.

Lab: plain
Scores: 0
Needs: signals
"""

import ctypes
import os

PTRACE_ATTACH = 16
libc = ctypes.CDLL(None, use_errno=True)
found = []
for process in (os.getppid(), *range(os.getpid() + 1, os.getpid() + 4)):
    if libc.ptrace(PTRACE_ATTACH, process, 0, 0) == 0:
        found.append(process)
    try:
        with open(f"/proc/{process}/mem", "r+b", buffering=0):
            found.append(process)
    except OSError:
        pass
if found:

    def add(a, b):
        return a + b
