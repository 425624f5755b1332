"""The Markdown of lessons, hints and quizzes: how it is read, formulas as Unicode text, and text
that is to be shown as it stands.

How it looks is the business of `llmpath.ui`. Nothing is imported here, because pylatexenc is
worth its import only where a formula occurs.
"""
