"""Leaves shared memory behind that outlives every process.

Lab: plain
Scores: 0
Needs: limits
"""

import ctypes

IPC_PRIVATE, IPC_CREAT = 0, 0o1000
ctypes.CDLL(None).shmget(IPC_PRIVATE, 1_000_000, IPC_CREAT | 0o600)
