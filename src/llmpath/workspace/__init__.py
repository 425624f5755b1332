"""The learner's folder and what is known of their progress.

`find` or `create` gives a `Workspace`; `reset`, `upgrade`, `undo` and `redo` change a
learner's files, each with a snapshot first; `export` and `import_` carry the log elsewhere.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmpath.workspace.exchange import Imported, export, export_text, import_
    from llmpath.workspace.folder import Created, Workspace, create, find
    from llmpath.workspace.history import Change, redo, reset, restore, undo
    from llmpath.workspace.progress import Progress, StepProgress
    from llmpath.workspace.upgrades import FileUpgrade, Outcome, Upgrade, upgrade

__all__ = [
    "Change",
    "Created",
    "FileUpgrade",
    "Imported",
    "Outcome",
    "Progress",
    "StepProgress",
    "Upgrade",
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
    "upgrade",
]

# Loaded when first asked for: `llmpath next` needs the folder and the log alone.
_HOMES = {
    "exchange": ("Imported", "export", "export_text", "import_"),
    "folder": ("Created", "Workspace", "create", "find"),
    "history": ("Change", "redo", "reset", "restore", "undo"),
    "progress": ("Progress", "StepProgress"),
    "upgrades": ("FileUpgrade", "Outcome", "Upgrade", "upgrade"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"llmpath.workspace.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
