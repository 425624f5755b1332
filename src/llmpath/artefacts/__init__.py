"""What experiments make for one another: tokenizer, base model and so on, like a build's targets.

`recipe` says what an artefact is made from, `references` keeps those of the reference in the
user's cache, `own` keeps the learner's in their workspace, and `supply` gives a run what its
lab needs, making what is not there yet. `speakers` knows which of them are language models.
"""
