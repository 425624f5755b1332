"""The starter on which each of a learner's files is based, so that a newer one can be merged.

<workspace>/.llmpath/starters/<lab>/<stage>/<file>   the starter as the file began with it

What was written when the file was made is kept there. A reset or an upgrade bases the file on
another starter; that is told by the log, so that undoing them brings the old basis back too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llmpath.workspace import events, files
from llmpath.workspace.events import Event
from llmpath.workspace.progress import effective
from llmpath.workspace.snapshots import Snapshots


@dataclass(frozen=True)
class Starter:
    """A starter on which a file of the learner's is based.

    Attributes:
        place: where the file was then, relative to the workspace, with forward slashes; ""
            if that is not known.
    """

    place: str
    content: bytes


@dataclass(frozen=True)
class Starters:
    """The starters of one workspace."""

    folder: Path
    snapshots: Snapshots

    def keep(self, lab: str, place: str, content: bytes) -> None:
        """Keep the starter that a lab's file begins with, in place of any kept before."""
        for old in self._kept(lab):
            if old != self.folder / lab / place:
                old.unlink(missing_ok=True)
        files.write(self.folder / lab / place, content)

    def based_on(self, log: Iterable[Event]) -> dict[str, Starter]:
        """For each lab the starter that its file is based on, as far as that is known.

        Args:
            log: the events of this workspace, in their order.
        """
        found = {lab: starter for lab in self._labs() if (starter := self._first(lab)) is not None}
        for event in effective(log):
            if event.kind == events.RESET:
                lab, digest = event.payload["lab"], event.payload["after"]
                place = found[lab].place if lab in found else ""
                found[lab] = Starter(place, self.snapshots.content(digest))
            elif event.kind == events.UPGRADE:
                for each in event.payload["files"]:
                    content = self.snapshots.content(each["starter"])
                    found[each["lab"]] = Starter(each["file"], content)
        return found

    def _labs(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.is_dir() else []

    def _kept(self, lab: str) -> list[Path]:
        return sorted((self.folder / lab).glob("*/*.py"))

    def _first(self, lab: str) -> Starter | None:
        for path in self._kept(lab):
            content = files.read(path)
            if content is not None:
                return Starter(path.relative_to(self.folder / lab).as_posix(), content)
        return None
