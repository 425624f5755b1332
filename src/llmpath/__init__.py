"""llmpath: learn large language models by writing one."""

__version__ = "0.1.0"
