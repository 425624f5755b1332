"""A worker's account of an exception, made into a `Detail`'s fields.

The account was written by a process that ran learner code, so each part of it is
taken only as the kind of thing that it should be, and shortened.
"""

from __future__ import annotations

from typing import Any

# What is said of a check that fails and does not say why.
UNSAID = "an assertion of the check does not hold"


def raised(report: dict[str, Any]) -> dict[str, Any]:
    """The reasons that a learner's exception amounts to, from the worker's report of it."""
    frames = [
        {
            "file": str(frame.get("file", ""))[:200],
            "line": frame["line"] if isinstance(frame.get("line"), int) else 0,
            "function": str(frame.get("function", ""))[:200],
            "text": str(frame.get("text", ""))[:400],
        }
        for frame in _list(report.get("frames"))
        if isinstance(frame, dict)
    ][:20]
    kind, message = str(report.get("type", ""))[:200], str(report.get("message", ""))[:2000]
    detail: dict[str, Any] = {
        "kind": "raised",
        "exception": kind,
        "summary": message,
        "frames": frames,
    }
    if report.get("syntax") is True:
        detail["kind"] = "syntax"
    elif kind == "NotImplementedError" and frames:
        detail.update(kind="not-written", summary=frames[-1]["function"])
    elif kind == "AttributeError" and not frames:
        detail["kind"] = "missing"
    return detail


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
