"""Runs a lab's experiment on the learner's code, in a child process.

`llmpath.running.runner.run` starts one and yields what happens; `llmpath.running.folder`
knows what is kept. Nothing is imported here, so that the child starts quickly.
"""
