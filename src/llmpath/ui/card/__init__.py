"""The report card: in the terminal, as Markdown, as a page, and as plain data for scripts.

What all of them say in words stands in `wording`.
"""
