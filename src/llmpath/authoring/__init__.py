"""The instructor's side: what proves that a course is sound (`check`).

Nothing is imported here, so that a command pays only for what it uses.
"""
