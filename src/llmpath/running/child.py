"""The process in which an experiment runs: `python -P -m llmpath.running.child`.

Reads one request from its standard input, imports the learner's file and the lab's
`experiment.py`, and calls `experiment(lab, run)`. Events go to the pipe that was
descriptor 1; whatever is printed goes to descriptor 2. Imports neither torch nor anything
else that a lab does not ask for.
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from llmpath.labkit import thread
from llmpath.labkit.channel import Channel
from llmpath.labkit.run import Run
from llmpath.running import descriptors
from llmpath.running.failure import Explainer

INTERRUPTED = 130  # the exit code that shells give to a program that Ctrl-C ended


def main() -> int:
    """Serve one request; the exit code is 0 for a finished experiment."""
    try:
        descriptors.listen_for_interrupt()
        return _serve()
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        descriptors.flush()


def _serve() -> int:
    reading, writing = descriptors.take()
    with open(reading, "rb", buffering=0, closefd=False) as pipe:
        line = pipe.readline()
    descriptors.end_with_parent(reading)
    request: dict[str, Any] = json.loads(line)
    channel = Channel(writing, request["began"])
    explainer = Explainer(request)
    try:
        _experiment(request, channel)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException as error:  # learner code may raise anything, SystemExit included
        channel.send("failed", explainer.explain(error))
        return 1
    return 0


def _experiment(request: dict[str, Any], channel: Channel) -> None:
    thread.configure(request["thread"])
    random.seed(request["seed"])
    learner_file = Path(request["learner_file"])
    lab = load(learner_file, free_name(learner_file.stem))
    experiment = load(Path(request["lab_folder"]) / "experiment.py", "llmpath_experiment")
    run = Run(
        channel.send,
        folder=Path(request["run_folder"]),
        device=request["device"],
        scale=request["scale"],
        seed=request["seed"],
        data=request["data"],
        model=request["model"],
        artefacts={name: Path(path) for name, path in request["artefacts"].items()},
        makes=request["makes"],
        resume=request["resume"],
    )
    seed_everything(request["seed"])
    channel.send("started", _started(request, run))
    experiment.experiment(lab, run)


def _started(request: dict[str, Any], run: Run) -> dict[str, Any]:
    torch = sys.modules.get("torch")
    asked = request["device"] not in ("auto", "cpu")
    return {
        "lab": request["lab"],
        "device": str(run.device) if torch or asked else None,
        "scale": request["scale"],
        "seed": request["seed"],
        "model": request["model"],
        "torch": str(torch.__version__) if torch else None,
    }


class _AlwaysFresh(SourceFileLoader):
    """Compiles the file as it is now, and leaves no compiled file beside it.

    The cache of Python goes by size and by whole seconds: a learner who saves twice within
    one would be shown their older code.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def load(path: Path, name: str) -> ModuleType:
    """Import one file under a name, from nowhere but its path."""
    spec = importlib.util.spec_from_file_location(name, path, loader=_AlwaysFresh(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def free_name(stem: str) -> str:
    """`stem`, unless an installed module is called so and would be hidden by it."""
    taken = stem in sys.modules or stem in sys.stdlib_module_names
    return f"lab_{stem}" if taken or importlib.util.find_spec(stem) else stem


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, numpy and torch, those that are in use."""
    random.seed(seed)
    if "numpy" in sys.modules:
        import numpy

        numpy.random.seed(seed % 2**32)
    if "torch" in sys.modules:
        import torch

        torch.manual_seed(seed)


if __name__ == "__main__":
    sys.exit(main())
