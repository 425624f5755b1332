"""From a file on the disk to an event for each save, and a grading for each of those.

`changes` notices saves, however an editor makes them; `loop` grades after each. Neither
knows what a grading is, nor of terminals: what to call, and what to show, is handed in.
"""
