"""Proves that a course is sound, or says where it is not.

One module for each kind of proof, which goes from a course to findings; `finding` says what
those are, `runner` runs all proofs that were asked for. Works on any course folder.
"""
