"""Copies of learners' files, kept under the SHA-256 of their content.

A snapshot is written once and never changed or removed, so whatever was replaced can
be brought back; equal contents are kept once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmpath.errors import LlmpathError
from llmpath.workspace import files


@dataclass(frozen=True)
class Snapshots:
    """The snapshots in one folder."""

    folder: Path

    def path(self, digest: str) -> Path:
        """Where the content with this SHA-256 is kept."""
        return self.folder / f"{digest}.snapshot"

    def keep(self, content: bytes) -> str:
        """Keep a copy of `content`; returns its SHA-256 as 64 hexadecimal digits."""
        digest = sha256(content)
        path = self.path(digest)
        if files.read(path) != content:
            files.write(path, content)
        return digest

    def content(self, digest: str) -> bytes:
        """The content with this SHA-256; an `LlmpathError` if the copy is gone or altered."""
        content = files.read(self.path(digest)) if digest.isalnum() else None
        if content is None:
            raise LlmpathError(f"The snapshot {self.path(digest)} is missing.")
        if sha256(content) != digest:
            raise LlmpathError(f"The snapshot {self.path(digest)} is damaged; it is left alone.")
        return content


def sha256(content: bytes) -> str:
    """The SHA-256 of `content`, as 64 hexadecimal digits."""
    import hashlib  # loads OpenSSL, which most commands never need

    return hashlib.sha256(content).hexdigest()
