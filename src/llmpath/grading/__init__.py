"""From a lab and a learner's file to a `GradeReport`, without importing learner code.

Two child processes do the work: the judge runs pytest on `checks.py`, the worker
imports the learner's file; they exchange data over a pipe (`wire`). The parent
(`grader`, which makes a `trial` of each file) starts them, holds them to their limits and
believes nothing but complete verdicts.
"""
