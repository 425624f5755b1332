"""What several heads can do that one cannot."""


def experiment(lab, run) -> None:
    """To come."""
    run.result("To come.")
