"""What an experiment is given to show what it does: `def experiment(lab, run)`.

Everything is sent as an event to whoever started the run; files are written to the run
folder, each whole or not at all. A wrong call raises an error that names the call.
"""

from __future__ import annotations

import importlib
import re
import shutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

Send = Callable[[str, dict[str, Any]], None]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_BETWEEN = 0.05  # seconds between two reports of progress
_DPI = 150


class DeviceError(Exception):
    """The device that was asked for is not there."""


class ArtefactError(Exception):
    """An artefact was asked for that the lab does not name, or that is not there."""


class Run:
    """One run of an experiment.

    Attributes:
        scale: how much to do: `micro` is under a minute on two cores.
        seed: already given to the generators of Python, numpy and torch.
        folder: the run folder; `save` and `figure` write there.
    """

    def __init__(
        self,
        send: Send,
        *,
        folder: Path,
        device: str = "auto",
        scale: Literal["micro", "mini", "gpu"] = "micro",
        seed: int = 0,
        data: str = "microworld",
        artefacts: Mapping[str, Path] | None = None,
        makes: Collection[str] = (),
    ) -> None:
        self.scale = scale
        self.seed = seed
        self.folder = folder
        self._send = send
        self._asked = device
        self._asked_data = data
        self._artefacts = dict(artefacts or {})
        self._makes = frozenset(makes)
        self._device: torch.device | None = None
        self._data: Any = None
        self._said_progress = float("-inf")
        self._ended = False

    @property
    def device(self) -> torch.device:
        """Where tensors should be: what was asked for, or the fastest device there is.

        Raises:
            DeviceError: if the device that was asked for is not there.
        """
        if self._device is None:
            import torch

            self._device = torch.device(_device(self._asked))
        return self._device

    @property
    def data(self) -> Any:
        """The corpus that `--data` names, loaded when it is first asked for."""
        if self._data is None:
            corpora = importlib.import_module("llmpath.labkit.data")
            self._data = corpora.load(self._asked_data, seed=self.seed)
        return self._data

    def artefact(self, name: str) -> Path:
        """The folder of an artefact that this lab needs: the learner's own or the reference's.

        Raises:
            ArtefactError: if `needs` in lab.yaml does not list it, or it has gone.
        """
        if name not in self._artefacts:
            known = ", ".join(sorted(self._artefacts)) or "none"
            raise ArtefactError(
                f"run.artefact({name!r}): this lab needs no artefact of that name (it needs: "
                f"{known}). Add it to `needs` in lab.yaml."
            )
        folder = self._artefacts[name]
        if not folder.exists():
            raise ArtefactError(f"run.artefact({name!r}): there is no folder {folder} any more.")
        return folder

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Say that `done` of `total` steps are done; `note` is a word about the present one."""
        call = "run.progress"
        done, total = _number(call, "done", done), _number(call, "total", total)
        if not 0 < total < float("inf"):
            raise ValueError(f"{call}: total must be a finite number above 0, not {total}.")
        if not 0 <= done <= total:
            raise ValueError(f"{call}: done must be between 0 and total {total:g}, not {done:g}.")
        now = time.monotonic()
        if done == total or now - self._said_progress >= _BETWEEN:
            self._said_progress = now
            self._tell(call, "progress", done=done, total=total, note=_text(call, "note", note))

    def log(self, step: float, **metrics: float) -> None:
        """Record metrics at a step: numbers, or tensors of one element. NaN becomes a gap."""
        call = "run.log"
        if not metrics:
            raise TypeError(f"{call}: no metric was given; write run.log(step, loss=loss).")
        values = {name: _number(call, name, value) for name, value in metrics.items()}
        self._tell(call, "log", step=_finite(call, "step", step), metrics=values)

    def floor(self, metric: str, value: float, label: str) -> None:
        """Draw a known bound of a metric as a line in its chart."""
        call = "run.floor"
        self._tell(
            call,
            "floor",
            metric=_text(call, "metric", metric),
            value=_finite(call, "value", value),
            label=_text(call, "label", label),
        )

    def text(self, title: str, text: str) -> None:
        """Show a sample; the newest is seen while the experiment runs."""
        call = "run.text"
        self._tell(call, "text", title=_text(call, "title", title), text=_text(call, "text", text))

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str | float]]
    ) -> None:
        """Show a table; cells are text or numbers."""
        call = "run.table"
        names = [_text(call, "a column", column) for column in columns]
        cells = [[_cell(call, cell) for cell in row] for row in rows]
        for number, row in enumerate(cells, 1):
            if len(row) != len(names):
                raise ValueError(
                    f"{call}: row {number} has {len(row)} cells, but there are "
                    f"{len(names)} columns."
                )
        self._tell(call, "table", title=_text(call, "title", title), columns=names, rows=cells)

    def figure(self, name: str, figure: Figure) -> None:
        """Save a Matplotlib figure as `<name>.png`."""
        call = "run.figure"
        if not hasattr(figure, "savefig"):
            raise TypeError(
                f"{call}: {type(figure).__name__} is not a Matplotlib figure; make one with "
                "`from matplotlib.figure import Figure`."
            )
        name = _name(call, name).removesuffix(".png")

        def write(path: Path) -> None:
            # Without the date and version in the file, the same seed gives the same bytes.
            figure.savefig(
                path,
                dpi=_DPI,
                bbox_inches="tight",
                facecolor="white",
                metadata={"Software": None},
            )

        self._check_open(call)
        self._commit(call, f"{name}.png", write)
        self._tell(call, "figure", name=name, path=f"{name}.png")

    def save(self, name: str, write: Callable[[Path], object]) -> Path:
        """Save a file or folder in the run folder, whole or not at all.

        A name that `makes` in lab.yaml lists is an artefact, which later labs may need.

        Args:
            name: what it is called there.
            write: called with the path to write; makes a file or a folder there.

        Returns:
            Where it is now.
        """
        call = "run.save"
        self._check_open(call)
        path = self._commit(call, _name(call, name), write)
        self._tell(call, "saved", name=name, path=name, artefact=name in self._makes)
        return path

    def result(self, sentence: str, **figures: str | float) -> None:
        """End the experiment with one sentence of what it found, and the figures."""
        call = "run.result"
        if not _text(call, "sentence", sentence).strip():
            raise ValueError(f"{call}: the sentence is empty.")
        cells = {name: _cell(call, value) for name, value in figures.items()}
        self._tell(call, "result", sentence=sentence, figures=cells)
        self._ended = True

    def _tell(self, call: str, event: str, **fields: Any) -> None:
        self._check_open(call)
        self._send(event, fields)

    def _check_open(self, call: str) -> None:
        if self._ended:
            raise RuntimeError(
                f"{call}: run.result was already called; it is called once, as the last thing."
            )

    def _commit(self, call: str, name: str, write: Callable[[Path], object]) -> Path:
        partial = self.folder / ".partial"
        _remove(partial)
        partial.mkdir(parents=True)
        try:
            write(partial / name)
            if not (partial / name).exists():
                raise ValueError(f"{call}: write() made nothing at the path that it was given.")
            target = self.folder / name
            if target.is_dir() or (partial / name).is_dir():
                _remove(target)
            (partial / name).replace(target)
        finally:
            _remove(partial)
        return target


def _device(asked: str) -> str:
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return next((name for name, there in available.items() if there), "cpu")
    if not available.get(asked, True):
        raise DeviceError(f"This machine has no device {asked!r} that torch can use.")
    return asked


def _number(call: str, name: str, value: Any) -> float:
    refused = isinstance(value, (str, bytes, bool, type(None))) or not hasattr(value, "__float__")
    if not refused:
        try:
            return float(value)
        except (TypeError, ValueError, RuntimeError, OverflowError):
            pass
    shown = repr(value) if len(repr(value)) < 60 else type(value).__name__
    raise TypeError(f"{call}: {name} must be a number, not {shown}.")


def _finite(call: str, name: str, value: Any) -> float:
    number = _number(call, name, value)
    if not -float("inf") < number < float("inf"):
        raise ValueError(f"{call}: {name} must be a finite number, not {number}.")
    return number


def _text(call: str, name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{call}: {name} must be text, not {type(value).__name__}.")
    return value


def _cell(call: str, value: Any) -> str | int | float:
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    number = _number(call, "a cell", value)
    whole = hasattr(value, "__index__") and number.is_integer()
    return int(number) if whole else number


def _name(call: str, name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"{call}: {name!r} is no name for a file; use letters, digits, '.', '-' and '_'."
        )
    return name


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
