"""Raises pytest's own outcomes: skip, exit, xfail, and unittest's SkipTest.

Lab: plain
Scores: 0
"""

import unittest

import pytest


def add(a, b):
    pytest.skip("not today", allow_module_level=True)


def count(words):
    pytest.exit("done", returncode=0)


def shout(words):
    pytest.xfail("known")


def apply(function, values):
    raise unittest.SkipTest("not today")
