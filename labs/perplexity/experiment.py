"""x"""


def experiment(lab, run) -> None:
    """x."""
    run.result("x")
