"""To come."""


def experiment(lab, run) -> None:
    """To come."""
    run.result("To come.")
