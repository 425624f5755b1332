"""The instructor's side: what proves that a course is sound (`check`), and the rest of the bench.

Nothing is imported here, so that a command pays only for what it uses.
"""
