"""git, as a program: fetching a course, and looking at an older version of one.

Nothing here ever waits for someone to type a password or to answer a question.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from llmpath.errors import LlmpathError

SECONDS = 600.0
# What a URL may use; git knows others that start programs.
PROTOCOLS = "file:git:http:https:ssh"
_OPTIONS = (
    "-c",
    "http.lowSpeedLimit=1000",
    "-c",
    "http.lowSpeedTime=30",
    "-c",
    "core.quotePath=off",
)
_LINES = 3


def run(*arguments: str, folder: Path | None = None, seconds: float = SECONDS) -> bytes:
    """What a git command prints.

    Args:
        arguments: the command and its arguments.
        folder: where it runs; the current folder if not given.
        seconds: the most that it may take.

    Raises:
        LlmpathError: there is no git, it failed, or it took too long.
    """
    what = f"git {arguments[0]}"
    try:
        done = subprocess.run(
            ["git", *_OPTIONS, *arguments],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError as error:
        raise LlmpathError(
            "git is not installed, or not on the PATH.",
            "Install it; or download the course yourself and name its folder.",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LlmpathError(f"{what} was not done after {seconds:.0f} seconds.") from error
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise LlmpathError(f"{what} failed: {' '.join(lines[-_LINES:])}")
    return done.stdout


def clone(url: str, folder: Path) -> None:
    """Fetch the newest commit of a repository into a folder that does not exist yet."""
    run("clone", "--quiet", "--depth", "1", "--single-branch", "--no-tags", "--", url, str(folder))


def commit(folder: Path) -> str:
    """The commit at which a working tree is."""
    return run("rev-parse", "HEAD", folder=folder).decode().strip()


def pull(folder: Path) -> None:
    """Bring a clone to the newest commit of where it came from.

    Files that were changed here are kept; where the newest commit changes one too, git refuses.
    """
    run("fetch", "--quiet", "--depth", "1", "--no-tags", "origin", "HEAD", folder=folder)
    move(folder, "FETCH_HEAD")


def move(folder: Path, revision: str) -> None:
    """Bring a working tree to a commit; files that were changed in it are kept, or git refuses."""
    run("reset", "--quiet", "--keep", revision, folder=folder)


def _environment() -> dict[str, str]:
    fixed = {"GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": PROTOCOLS, "LC_ALL": "C"}
    usual = {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=20"}
    # Within a hook of git's, these would make it look at another repository than it is told to.
    kept = {
        key: value for key, value in os.environ.items() if key not in ("GIT_DIR", "GIT_WORK_TREE")
    }
    return {**usual, **kept, **fixed}
