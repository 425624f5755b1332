"""What `llmpath doctor` looks at. torch is asked in a process of its own, never imported here."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from llmpath.errors import LlmpathError

if TYPE_CHECKING:
    from llmpath.cli.state import State

ENOUGH_MEMORY = 4 * 2**30  # bytes; the largest experiments at the micro scale stay below 2 GiB
ENOUGH_DISK = 2**30

ASK_TORCH = """
import json, torch
mps = getattr(torch.backends, "mps", None)
device = "cuda" if torch.cuda.is_available() else "mps" if mps and mps.is_available() else "cpu"
name = torch.cuda.get_device_name() if device == "cuda" else ""
print(json.dumps({"version": torch.__version__, "device": device, "name": name}))
"""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        value: what was found, in a few words.
        mend: what to do about it if it is not good.
    """

    name: str
    value: str
    good: bool = True
    mend: str = ""


def examine(state: State) -> list[Finding]:
    """Look at everything, in the order in which it is shown."""
    return [
        _python(),
        _packages(),
        *_torch(),
        _cores(),
        _memory(),
        _disk(),
        _editor(),
        _terminal(state),
        _workspace(state),
        _course(state),
    ]


def _packages() -> Finding:
    """Whether what llmpath itself needs is installed, extras left out."""
    needed = [each for each in metadata.requires("llmpath") or [] if "extra ==" not in each]
    names = [re.split(r"[^\w.-]", each, maxsplit=1)[0] for each in needed]
    missing = [name for name in names if not _installed(name)]
    mend = "Install llmpath again: pip install -c constraints.txt llmpath, or make start."
    value = ", ".join(f"no {name}" for name in missing) or "all there"
    return Finding("packages", value, not missing, mend)


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _python() -> Finding:
    version = platform.python_version()
    good = sys.version_info >= (3, 11)
    return Finding("python", version, good, "llmpath needs Python 3.11 or newer.")


def _torch() -> list[Finding]:
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", ASK_TORCH], capture_output=True, text=True, timeout=120
        )
        found: dict[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        mend = "Install it: pip install 'torch==2.13.0'"
        return [Finding("torch", "cannot be imported", False, mend)]
    device = f"{found['device']} ({found['name']})" if found["name"] else str(found["device"])
    return [Finding("torch", str(found["version"])), Finding("device", device)]


def _cores() -> Finding:
    return Finding("cores", str(os.cpu_count() or 1))


def _memory() -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    text = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    good = memory.available >= ENOUGH_MEMORY
    return Finding("memory", text, good, "Experiments may need 4 GiB: close something large.")


def _disk() -> Finding:
    free = shutil.disk_usage(os.getcwd()).free
    mend = "Make room: runs and artefacts need about 1 GiB."
    return Finding("disk", f"{free / 2**30:.0f} GiB free here", free >= ENOUGH_DISK, mend)


def _editor() -> Finding:
    from llmpath.cli.editor import chosen

    try:
        command = chosen()
    except LlmpathError as error:
        return Finding("editor", error.message, False, error.hint)
    good = bool(command) and shutil.which(command[0]) is not None
    mend = "Set EDITOR to the command of your editor, for llmpath lab open."
    return Finding("editor", " ".join(command) or "none found", good, mend)


def _terminal(state: State) -> Finding:
    console = state.console
    kind = f"{console.width} columns, {console.encoding}, {console.color_system or 'no colour'}"
    good = console.width >= 60
    return Finding("terminal", kind, good, "Lessons read best in 80 columns or more.")


def _workspace(state: State) -> Finding:
    try:
        return Finding("workspace", str(state.here.root))
    except LlmpathError as error:
        return Finding("workspace", "none here", False, error.hint or error.message)


def _course(state: State) -> Finding:
    try:
        return Finding("course", str(state.course.root))
    except LlmpathError as error:
        return Finding("course", error.message, False, error.hint)
