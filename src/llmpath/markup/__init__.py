"""The Markdown of lessons, hints and quizzes: how it is read, and formulas as Unicode text.

How it looks is the business of `llmpath.ui`. Nothing is imported here, because pylatexenc is
worth its import only where a formula occurs.
"""
