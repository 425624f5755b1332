"""A model that talks: `llmpath chat` and `llmpath serve`.

`source` says which model and whose code, `engine` holds a child process with it and hands out what
it writes, `request` and `answers` are what goes to and fro. In the child, `loading` brings a folder
to life, `streaming` makes text of tokens, and `child` lets all that was asked for take turns.
"""
