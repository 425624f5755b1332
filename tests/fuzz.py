"""Tries a property of `test_fuzz.py` with inputs that atheris steers by the code they reach.

    python tests/fuzz.py PROPERTY [options of libFuzzer, such as -max_total_time=300]

Needs atheris (`pip install --group fuzz`). It runs until it is stopped, or finds an input that
breaks the property; then it shows the traceback and writes the input to a file `crash-…`, which
it takes as an argument to run that input alone.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(
    include=["llmpath.codec", "llmpath.feedback", "llmpath.grading", "llmpath.labkit"]
):
    import test_fuzz


def main() -> None:
    """Fuzz the property that the command line names."""
    names = ", ".join(test_fuzz.PROPERTIES)
    if len(sys.argv) < 2 or sys.argv[1] not in test_fuzz.PROPERTIES:
        sys.exit(f"usage: python tests/fuzz.py PROPERTY [options]; the properties are: {names}")
    chosen = test_fuzz.PROPERTIES[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], chosen.hypothesis.fuzz_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
