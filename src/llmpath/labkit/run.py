"""What an experiment is given to show what it does: `def experiment(lab, run)`.

Everything is sent as an event to whoever started the run; files are written to the run
folder, each whole or not at all. A wrong call raises an error that names the call.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from llmpath.errors import LlmpathError
from llmpath.labkit import arguments

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from llmpath.labkit.checkpoint import Checkpoint
    from llmpath.labkit.data import Corpus
    from llmpath.labkit.device import Module

Send = Callable[[str, dict[str, Any]], None]
_BETWEEN = 0.05  # seconds between two reports of progress
_DPI = 150


class Run:
    """One run of an experiment.

    Attributes:
        scale: how much to do: `micro` is under a minute on two cores.
        seed: already given to the generators of Python, numpy and torch.
        model: the real model (`--model`) that is to be used beside the learner's own, or None.
            It has been pulled: see `labkit.models`.
        folder: the run folder; `save`, `figure` and `checkpoint` write there.
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
        model: str | None = None,
        artefacts: Mapping[str, Path] | None = None,
        makes: Collection[str] = (),
        resume: bool = False,
    ) -> None:
        self.scale = scale
        self.seed = seed
        self.model = model
        self.folder = folder
        self._send = send
        self._asked = device
        self._asked_data = data
        self._artefacts = dict(artefacts or {})
        self._makes = frozenset(makes)
        self._device: torch.device | None = None
        self._data: Corpus | None = None
        self._resume = resume
        self._muted = resume  # until `resumed`: what comes before it was said in the first run
        self._checkpoint: Checkpoint | None = None
        self._asked_resumed = False
        self._said_progress = float("-inf")
        self._ended = False

    @property
    def device(self) -> torch.device:
        """Where tensors should be: what was asked for, or the fastest device there is.

        Raises:
            DeviceError: if the device that was asked for is not there.
        """
        if self._device is None:
            from llmpath.labkit.device import choose

            self._device = choose(self._asked)
        return self._device

    def autocast(self) -> AbstractContextManager[Any]:
        """A context for the forward pass: bfloat16 on a GPU that has it, else nothing.

        with run.autocast():
            loss = cross_entropy(model(inputs), targets)
        """
        from llmpath.labkit.device import autocast

        return autocast(self.device)

    def compile(self, module: Module) -> Module:
        """The same module, compiled in place where that pays: on a GPU at scale `gpu`.

        To compile takes longer than a whole run at the smaller scales.
        """
        from llmpath.labkit.device import compiled

        return compiled(module, self.device) if self.scale == "gpu" else module

    def adamw(self, parameters: Iterable[Any], **options: Any) -> torch.optim.AdamW:
        """`torch.optim.AdamW` with these options, in its fused form on a GPU."""
        from llmpath.labkit.device import adamw

        return adamw(parameters, self.device, **options)

    @property
    def data(self) -> Corpus:
        """The corpus that `--data` names, opened when it is first asked for."""
        if self._data is None:
            from llmpath.labkit import data

            self._data = data.load(self._asked_data, seed=self.seed)
        return self._data

    def artefact(self, name: str) -> Path:
        """The folder of an artefact that this lab needs: the learner's own or the reference's.

        Raises:
            LlmpathError: if `needs` in lab.yaml does not list it, or it has gone.
        """
        if name not in self._artefacts:
            known = ", ".join(sorted(self._artefacts)) or "none"
            raise LlmpathError(
                f"run.artefact({name!r}): this lab needs no artefact of that name (it needs: "
                f"{known}).",
                "Add it to `needs` in lab.yaml.",
            )
        folder = self._artefacts[name]
        if not folder.exists():
            raise LlmpathError(
                f"run.artefact({name!r}): there is no folder {folder} any more.",
                "Run the lab again; what it needs is made first.",
            )
        return folder

    def progress(
        self, done: float, total: float, note: str = "", *, tokens: float | None = None
    ) -> None:
        """Say that `done` of `total` steps are done.

        Args:
            done: how many steps are done.
            total: how many there are.
            note: a word about the present one.
            tokens: how many tokens the model has been trained on until now, all steps
                together; shown as tokens per second.
        """
        call = "run.progress"
        done, total = arguments.number(call, "done", done), arguments.number(call, "total", total)
        if not 0 < total < float("inf"):
            raise ValueError(f"{call}: total must be a finite number above 0, not {total}.")
        if not 0 <= done <= total:
            raise ValueError(f"{call}: done must be between 0 and total {total:g}, not {done:g}.")
        now = time.monotonic()
        if done == total or now - self._said_progress >= _BETWEEN:
            self._said_progress = now
            fields: dict[str, Any] = {"done": done, "total": total}
            fields["note"] = arguments.text(call, "note", note)
            if tokens is not None:
                fields["tokens"] = arguments.whole(call, "tokens", tokens)
            self._tell(call, "progress", **fields)

    def log(self, step: float, **metrics: float) -> None:
        """Record metrics at a step: numbers, or tensors of one element. NaN becomes a gap."""
        call = "run.log"
        if not metrics:
            raise TypeError(f"{call}: no metric was given; write run.log(step, loss=loss).")
        values = {name: arguments.number(call, name, value) for name, value in metrics.items()}
        self._tell(call, "log", step=arguments.finite(call, "step", step), metrics=values)

    def floor(self, metric: str, value: float, label: str) -> None:
        """Draw a known bound of a metric as a line in its chart."""
        call = "run.floor"
        self._tell(
            call,
            "floor",
            metric=arguments.text(call, "metric", metric),
            value=arguments.finite(call, "value", value),
            label=arguments.text(call, "label", label),
        )

    def text(self, title: str, text: str) -> None:
        """Show a sample; the newest is seen while the experiment runs."""
        call = "run.text"
        self._tell(
            call,
            "text",
            title=arguments.text(call, "title", title),
            text=arguments.text(call, "text", text),
        )

    def table(
        self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str | float]]
    ) -> None:
        """Show a table; cells are text or numbers."""
        call = "run.table"
        names = [arguments.text(call, "a column", column) for column in columns]
        cells = [[arguments.cell(call, cell) for cell in row] for row in rows]
        for number, row in enumerate(cells, 1):
            if len(row) != len(names):
                raise ValueError(
                    f"{call}: row {number} has {len(row)} cells, but there are "
                    f"{len(names)} columns."
                )
        self._tell(
            call, "table", title=arguments.text(call, "title", title), columns=names, rows=cells
        )

    def figure(self, name: str, figure: Figure) -> None:
        """Save a Matplotlib figure as `<name>.png`."""
        call = "run.figure"
        if not hasattr(figure, "savefig"):
            raise TypeError(
                f"{call}: {type(figure).__name__} is not a Matplotlib figure; make one with "
                "`from matplotlib.figure import Figure`."
            )
        name = arguments.file_name(call, name).removesuffix(".png")

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
        path = self._commit(call, arguments.file_name(call, name), write)
        self._tell(call, "saved", name=name, path=name, artefact=name in self._makes)
        return path

    def resumed(self) -> Checkpoint | None:
        """The checkpoint that this run goes on from; None for a run that begins.

        To be called right before the training loop, by every experiment that calls
        `checkpoint`. The random state of Python, numpy and torch is from now on what it was
        when the checkpoint was written. What the experiment shows before this call was shown
        when the run began, and is not shown again.

            start = 0
            if saved := run.resumed():
                start = saved.step
                model.load_state_dict(saved.state["model"])
                optimizer.load_state_dict(saved.state["optimizer"])
            for step in range(start, steps):
                ...
        """
        self._asked_resumed = True
        if self._resume and self._muted:
            from llmpath.labkit import checkpoint

            self._checkpoint, random_state = checkpoint.read(self.folder / checkpoint.FILE)
            checkpoint.restore_random_state(random_state)
            self._muted = False
        return self._checkpoint

    def checkpoint(self, step: int, state: Mapping[str, Any]) -> None:
        """Keep what the run needs to go on from here, should it be killed.

        It replaces the checkpoint before it, whole or not at all. It is the last thing of a
        step: what a step does after it, a run that goes on from here does not do.

        Args:
            step: how many steps are done.
            state: tensors, numbers, texts, `torch.Generator`s, and lists, tuples and dicts
                of those. The random state of Python, numpy and torch is kept with it.
        """
        call = "run.checkpoint"
        from llmpath.labkit import checkpoint

        if not self._asked_resumed:
            raise RuntimeError(
                f"{call}: call run.resumed() before the training loop, and go on from what it "
                "gives."
            )
        self._check_open(call)
        done = arguments.whole(call, "step", step)
        try:
            checkpoint.write(self.folder / checkpoint.FILE, done, state)
        except checkpoint.CheckpointError as error:
            raise TypeError(f"{call}: {error}") from None
        self._tell(call, "checkpoint", step=done)

    def result(self, sentence: str, **figures: str | float) -> None:
        """End the experiment with one sentence of what it found, and the figures."""
        call = "run.result"
        if not arguments.text(call, "sentence", sentence).strip():
            raise ValueError(f"{call}: the sentence is empty.")
        cells = {name: arguments.cell(call, value) for name, value in figures.items()}
        if self._muted:
            raise RuntimeError(
                f"{call}: this run was to be resumed, but the experiment has not called "
                "run.resumed()."
            )
        self._tell(call, "result", sentence=sentence, figures=cells)
        self._ended = True

    def _tell(self, call: str, event: str, **fields: Any) -> None:
        self._check_open(call)
        if not self._muted:
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


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
