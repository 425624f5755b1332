"""x."""
def experiment(lab, run) -> None:
    """X."""
