"""The learner's folder and what is known of their progress.

`find` or `create` gives a `Workspace`; `reset`, `undo` and `redo` change a learner's
files, each with a snapshot first; `export` and `import_` carry the log elsewhere.
"""

from __future__ import annotations

from llmpath.workspace.exchange import Imported, export, export_text, import_
from llmpath.workspace.folder import Created, Workspace, create, find
from llmpath.workspace.history import Change, redo, reset, restore, undo
from llmpath.workspace.progress import Progress, StepProgress

__all__ = [
    "Change",
    "Created",
    "Imported",
    "Progress",
    "StepProgress",
    "Workspace",
    "create",
    "export",
    "export_text",
    "find",
    "import_",
    "redo",
    "reset",
    "restore",
    "undo",
]
