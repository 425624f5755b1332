"""Which artefacts are language models, and which of them is the furthest along the thread."""

from __future__ import annotations

from llmpath.artefacts.supply import Artefact, Supplier
from llmpath.course.course import Course
from llmpath.errors import LlmpathError


def speakers(course: Course) -> tuple[str, ...]:
    """The artefacts that are language models, in the order of the thread.

    Those are what labs make that use, themselves or through another, a lab that provides a model.
    Where none provides one, transformers runs all models, and any artefact may be one.
    """
    models = {lab.id for lab in course.labs.values() if lab.provides.model}
    return tuple(
        name
        for lab in course.labs.values()
        if not models or models & {lab.id, *(each.id for each in course.used_by(lab))}
        for name in lab.makes
    )


def furthest(supplier: Supplier) -> str:
    """The last of them that is there; the first of all if none is.

    Raises:
        LlmpathError: if the course makes no language model.
    """
    names = speakers(supplier.course)
    if not names:
        raise LlmpathError(
            "This course makes no language model to talk to.",
            "--model NAME talks to a real one; llmpath models list shows them.",
        )
    return next((name for name in reversed(names) if is_model(supplier.find(name))), names[0])


def is_model(artefact: Artefact | None) -> bool:
    """Whether an artefact is there, and is a model's folder."""
    return artefact is not None and (artefact.path / "config.json").is_file()
