"""What a learner has to show: the report card of their work, and their models made ready to share.

`provenance` says from which run an artefact came, `weights` how large it is, `card` gathers the
report card, `model_card` describes one model for others, and `export` writes its folder.
"""
