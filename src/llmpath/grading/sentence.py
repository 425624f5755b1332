"""A detail of a report in one sentence: for the JSON report and for plain listings."""

from __future__ import annotations

from llmpath.grading.report import Detail


def sentence(detail: Detail) -> str:
    """What happened, where, and why it matters, as far as the detail tells."""
    if detail.kind == "not-written":
        return f"{detail.summary} is not written yet ({_place(detail)})"
    if detail.kind == "missing":
        return detail.summary
    if detail.kind in ("raised", "syntax"):
        place = f" ({_place(detail)})" if detail.frames else ""
        return f"{detail.exception or 'error'}: {detail.summary}{place}"
    if detail.kind == "skipped":
        return f"not run, because {detail.summary} did not pass"
    if detail.kind == "mismatch":
        parts = [f"{detail.summary}: expected {detail.expected}, got {detail.got}"]
        parts += [f"at {detail.where}"] if detail.where else []
        return " ".join(parts) + (f"; {detail.because}" if detail.because else "")
    place = f" ({_place(detail)})" if detail.frames else ""
    return detail.summary + place


def _place(detail: Detail) -> str:
    frame = detail.frames[-1]
    return f"{frame.file}, line {frame.line}"
