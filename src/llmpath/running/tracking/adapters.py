"""What each tracker is told, and where it keeps it.

Nothing leaves the machine unless a setting of the tracker's own says so: `WANDB_MODE`,
`MLFLOW_TRACKING_URI`, `TRACKIO_SPACE_ID`. Each class imports its library when it is made.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmpath.running.events import Result, Table

BATCH = 900  # metrics in one request; MLflow takes 1000


@dataclass(frozen=True)
class Subject:
    """The run that is tracked.

    Attributes:
        lab: the lab's id; the trackers' projects are named after it.
        folder: the run folder.
        began: when it began, in seconds since the epoch.
        facts: what it was asked: seed, scale and so on.
    """

    lab: str
    folder: Path
    began: float
    facts: Mapping[str, Any]

    @property
    def project(self) -> str:
        """What the runs of a lab are gathered under."""
        return f"llmpath-{self.lab}"

    @property
    def near(self) -> str:
        """The run folder as it is called in the folder above all runs."""
        return self.folder.relative_to(self.runs.parent).as_posix()

    @property
    def runs(self) -> Path:
        """The folder of all runs of all labs."""
        return self.folder.parent.parent


class Adapter(ABC):
    """One tracker, told of one run.

    Attributes:
        where: how to look at what it keeps.
    """

    where = ""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    @abstractmethod
    def log(self, at: float, step: float, metrics: Mapping[str, float]) -> None:
        """Metrics at a step, `at` seconds after the run began."""

    @abstractmethod
    def fact(self, name: str, value: Any) -> None:
        """Something that holds for the whole run."""

    @abstractmethod
    def text(self, name: str, text: str, step: float) -> None:
        """A text in Markdown."""

    @abstractmethod
    def picture(self, name: str, path: Path, step: float) -> None:
        """A PNG."""

    def table(self, table: Table, step: float) -> None:
        """A table of text and numbers."""
        self.text(table.title, markdown(table.columns, table.rows), step)

    def flush(self) -> None:  # noqa: B027 - most trackers gather nothing
        """Pass on what has gathered; called whenever there is nothing to read."""

    @abstractmethod
    def end(self, outcome: str, result: Result | None) -> None:
        """The run has ended, and so has the tracking of it."""


class TensorBoard(Adapter):
    """An event file in the run folder, so that `tensorboard --logdir runs` finds every run."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        from torch.utils.tensorboard import SummaryWriter

        self.where = f"tensorboard --logdir {subject.runs.name}"
        # What a run wrote before it was resumed is written again, and hidden there.
        self._writer = SummaryWriter(str(subject.folder), purge_step=0)
        facts = [(name, str(value)) for name, value in subject.facts.items()]
        self.text("facts", markdown(("", ""), facts), 0)

    def log(self, at: float, step: float, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, round(step), walltime=self.subject.began + at)

    def fact(self, name: str, value: Any) -> None:
        self._writer.add_text(name, str(value))

    def text(self, name: str, text: str, step: float) -> None:
        self._writer.add_text(name, text, round(step))

    def picture(self, name: str, path: Path, step: float) -> None:
        from matplotlib.image import imread

        self._writer.add_image(name, imread(path), round(step), dataformats="HWC")

    def flush(self) -> None:
        self._writer.flush()

    def end(self, outcome: str, result: Result | None) -> None:
        self.text("result", f"{outcome}: {result.sentence if result else ''}", 0)
        self._writer.close()


class MLflow(Adapter):
    """A run in the tracking server of the environment, else in a store under `runs/`."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        folder = subject.runs / "mlflow"
        self._files, self._database = folder.as_uri(), f"sqlite:///{folder / 'mlflow.db'}"
        address = os.environ.get("MLFLOW_TRACKING_URI") or self._local()
        from mlflow import MlflowClient
        from mlflow.entities import Metric

        self._metric: Callable[..., Any] = Metric
        self._client = MlflowClient(address)
        self._metrics: list[Any] = []
        experiment = self._client.get_experiment_by_name(subject.project)
        number = experiment.experiment_id if experiment else self._new_experiment(address)
        created = self._client.create_run(
            number, start_time=round(subject.began * 1000), run_name=subject.folder.name
        )
        self._run: str = created.info.run_id
        for name, value in subject.facts.items():
            self.fact(name, value)
        self.where = f"mlflow ui --backend-store-uri {self._near(address)}"

    def _local(self) -> str:
        """A SQLite file where MLflow can use one, else a folder of files."""
        (self.subject.runs / "mlflow").mkdir(exist_ok=True)
        if importlib.util.find_spec("sqlalchemy") and importlib.util.find_spec("alembic"):
            return self._database
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        return self._files

    def _near(self, address: str) -> str:
        """The address of a local store as it can be typed in the folder above all runs."""
        path = f"{self.subject.runs.name}/mlflow"
        known = {self._files: path, self._database: f"sqlite:///{path}/mlflow.db"}
        return known.get(address, address)

    def _new_experiment(self, address: str) -> str:
        from mlflow.exceptions import MlflowException

        folder = self.subject.runs / "mlflow" / "artifacts" / self.subject.lab
        location = folder.as_uri() if address.startswith("sqlite:") else None
        try:
            number: str = self._client.create_experiment(self.subject.project, location)
        except MlflowException:  # another terminal was quicker
            number = self._client.get_experiment_by_name(self.subject.project).experiment_id
        return number

    def log(self, at: float, step: float, metrics: Mapping[str, float]) -> None:
        when = round((self.subject.began + at) * 1000)
        for name, value in metrics.items():
            self._metrics.append(self._metric(_plain(name), value, when, round(step)))
        if len(self._metrics) >= BATCH:
            self.flush()

    def flush(self) -> None:
        while self._metrics:
            self._client.log_batch(self._run, metrics=self._metrics[:BATCH])
            del self._metrics[:BATCH]

    def fact(self, name: str, value: Any) -> None:
        self._client.log_param(self._run, _plain(name), value)

    def text(self, name: str, text: str, step: float) -> None:
        self._client.log_text(self._run, text, f"{_slug(name)}-{step:g}.md")

    def picture(self, name: str, path: Path, step: float) -> None:
        self._client.log_artifact(self._run, str(path))

    def end(self, outcome: str, result: Result | None) -> None:
        self.flush()
        if result is not None:
            self._client.set_tag(self._run, "mlflow.note.content", result.sentence)
            numbers = {k: v for k, v in result.figures.items() if isinstance(v, (int, float))}
            self.log(time.time() - self.subject.began, 0, numbers)
            self.flush()
        status = {"finished": "FINISHED", "failed": "FAILED"}.get(outcome, "KILLED")
        self._client.set_terminated(self._run, status)


class WeightsAndBiases(Adapter):
    """A run in the run folder, offline unless `WANDB_MODE` says otherwise."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        self._wandb: Any = wandb
        self._run: Any = self._wandb.init(
            project=subject.project,
            name=subject.folder.name,
            dir=str(subject.folder),
            mode=os.environ.get("WANDB_MODE") or "offline",
            config=dict(subject.facts),
            settings=wandb.Settings(silent=True, console="off", disable_git=True, save_code=False),
        )
        self._run.define_metric("*", step_metric="step")
        # An offline run has no address, and says so with a warning when it is asked for it.
        self.where = f"wandb sync {subject.near}/wandb/offline-*"
        if not self._run.offline:
            self.where = self._run.url or "wandb"

    def log(self, at: float, step: float, metrics: Mapping[str, float]) -> None:
        self._run.log({**metrics, "step": step})

    def fact(self, name: str, value: Any) -> None:
        self._run.config[name] = value

    def text(self, name: str, text: str, step: float) -> None:
        self._table(name, ("text",), [[text]], step)

    def table(self, table: Table, step: float) -> None:
        self._table(table.title, table.columns, table.rows, step)

    def _table(
        self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: float
    ) -> None:
        cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
        shown = self._wandb.Table(columns=list(columns), data=cells)
        self._run.log({_slug(name): shown, "step": step})

    def picture(self, name: str, path: Path, step: float) -> None:
        self._run.log({name: self._wandb.Image(str(path)), "step": step})

    def end(self, outcome: str, result: Result | None) -> None:
        self._run.summary["outcome"] = outcome
        if result is not None:
            self._run.summary.update({**result.figures, "result": result.sentence})
        self._run.finish(exit_code=0 if outcome == "finished" else 1)


class Trackio(Adapter):
    """A run in Trackio's own store on this machine, where `trackio show` finds it."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        import trackio

        self._trackio: Any = trackio
        self._run: Any = trackio.init(
            project=subject.project,
            name=subject.folder.name,
            config=dict(subject.facts),
            space_id=os.environ.get("TRACKIO_SPACE_ID") or None,
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        self.where = f"trackio show --project {subject.project}"

    def log(self, at: float, step: float, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=round(step))

    def fact(self, name: str, value: Any) -> None:
        self._run.log({name: value})

    def text(self, name: str, text: str, step: float) -> None:
        self._run.log({name: self._trackio.Markdown(text)}, step=round(step))

    def picture(self, name: str, path: Path, step: float) -> None:
        self._run.log({name: self._trackio.Image(str(path))}, step=round(step))

    def end(self, outcome: str, result: Result | None) -> None:
        self.text("result", f"{outcome}: {result.sentence if result else ''}", 0)
        with contextlib.redirect_stdout(None):
            self._run.finish()


ADAPTERS: dict[str, Callable[[Subject], Adapter]] = {
    "tensorboard": TensorBoard,
    "mlflow": MLflow,
    "wandb": WeightsAndBiases,
    "trackio": Trackio,
}


def markdown(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(value: Any) -> str:
    return "" if value is None else str(value).replace("|", "\\|").replace("\n", " ")


def _plain(name: str) -> str:
    """A name that MLflow takes: letters, digits, and a few signs."""
    return re.sub(r"[^\w .:/-]", "_", name) or "_"


def _slug(name: str) -> str:
    """A name that can be part of a file's."""
    return re.sub(r"[^\w-]+", "-", name).strip("-")[:80] or "text"
