"""A judge or a worker as an interpreter of its own, where there is no fork server."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys


def main(role: str, config: str, preload: list[str]) -> None:
    """Import `preload`, so that no check pays for it, then become `role`."""
    for name in preload:
        # A module that is missing is missed where it is used, with its own message.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    importlib.import_module(f"llmpath.grading.{role}").main(json.loads(config))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
