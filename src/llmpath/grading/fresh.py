"""A judge or a worker as an interpreter of its own, where there is no fork server."""

from __future__ import annotations

import importlib
import json
import sys

from llmpath.grading.imports import load


def main(role: str, config: str, modules: list[str]) -> None:
    """Load `modules`, so that no check pays for them, then become `role`."""
    load(modules)
    importlib.import_module(f"llmpath.grading.{role}").main(json.loads(config))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
