"""What labs import. Runs in child processes only, never on the command line."""
