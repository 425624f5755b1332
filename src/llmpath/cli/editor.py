"""Which editor opens a learner's file, and opening it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from llmpath.errors import LlmpathError

FALLBACKS = ("sensible-editor", "code", "nano", "vim", "vi", "notepad")


def chosen() -> list[str]:
    """The command of the editor: $VISUAL, $EDITOR, or the first that is installed; [] if none is.

    Raises:
        LlmpathError: if one of the two is set to what is no command.
    """
    for name in ("VISUAL", "EDITOR"):
        if command := os.environ.get(name, "").strip():
            return _words(name, command)
    return next(([name] for name in FALLBACKS if shutil.which(name)), [])


def _words(name: str, command: str) -> list[str]:
    """The words of a command, without the quotes around them."""
    posix = os.name == "posix"  # elsewhere a backslash is a part of a path
    try:
        words = shlex.split(command, posix=posix)
    except ValueError as error:
        raise LlmpathError(
            f"{name} is no command: {error} in {command!r}.",
            f"Set {name} to the command of your editor, with a quote at either end of a path.",
        ) from error
    return words if posix else [word.strip('"') for word in words]


def open_file(path: Path) -> None:
    """Open a file and wait until the editor is closed; an `LlmpathError` if there is none."""
    command = chosen()
    try:
        if not command:
            raise FileNotFoundError("none is installed under a name that llmpath knows")
        subprocess.run([*command, str(path)], check=False)
    except OSError as error:
        name = command[0] if command else "An editor"
        raise LlmpathError(
            f"{name} could not be started: {error.strerror or error}.",
            f"Set EDITOR to the command of your editor, or open {path} yourself.",
        ) from error
