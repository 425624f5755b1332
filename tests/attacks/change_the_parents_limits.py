"""Lowers a resource limit and the processors of the process that grades.

Lab: plain
Scores: 0
Needs: signals
"""

import os
import resource

for attempt in (
    lambda: resource.prlimit(int("@pid@"), resource.RLIMIT_CORE, (0, -1)),
    lambda: os.sched_setaffinity(int("@pid@"), {min(os.sched_getaffinity(0))}),
):
    try:
        attempt()
    except OSError:
        continue
