"""x."""


def experiment(lab, run):
    """X."""
    run.result("x")
