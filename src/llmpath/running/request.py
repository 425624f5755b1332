"""What is asked of a run: which lab, whose code, where, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Device = Literal["auto", "cpu", "cuda", "mps"]
Scale = Literal["micro", "mini", "gpu"]
Tracker = Literal["tensorboard", "mlflow", "wandb", "trackio"]
DEVICES: tuple[Device, ...] = get_args(Device)
SCALES: tuple[Scale, ...] = get_args(Scale)
TRACKERS: tuple[Tracker, ...] = get_args(Tracker)
NAMED_DATA = ("microworld", "python", "python-docs")  # all other data is a path or a hub name


class RunRequest(BaseModel):
    """One run of a lab's experiment.

    Attributes:
        lab: the lab's id.
        lab_folder: the folder that holds `experiment.py`.
        learner_file: the file whose code is run: the learner's, or the reference.
        course_root: the folder of the course.
        run_folder: an existing folder for what the run makes (see `folder.new_folder`).
        reference: whether `learner_file` is the reference and not the learner's own.
        thread: the file that stands for each earlier lab, for `earlier`.
        names: what to call some of these files in front of the learner, by path.
        data: the data that `run.data` loads, as `--data` names it.
        model: the real model that the experiment is to use as well, for `run.model`.
        artefacts: the folder of each artefact that the lab needs, for `run.artefact`.
        makes: the artefacts that the experiment writes, by `run.save`.
        course_version: the version of the course, to be kept with the result.
        resume: whether to go on from the checkpoint in `run_folder`, which must be that of a
            run which ended before it was done (see `resume.resumable`).
        track: the experiment tracker that is to be told of the run as well.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lab: str
    lab_folder: Path
    learner_file: Path
    course_root: Path
    run_folder: Path
    seed: int = Field(default=0, ge=0, lt=2**63)
    device: Device = "auto"
    scale: Scale = "micro"
    reference: bool = False
    thread: dict[str, Path] = {}
    names: dict[str, str] = {}
    data: str = "microworld"
    model: str | None = None
    artefacts: dict[str, Path] = {}
    makes: tuple[str, ...] = ()
    course_version: str = ""
    resume: bool = False
    track: Tracker | None = None
