"""`python -m llmpath` is `llmpath`."""

from llmpath.cli import run

if __name__ == "__main__":
    run()
