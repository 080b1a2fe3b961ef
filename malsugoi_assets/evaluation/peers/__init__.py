"""Other people's recommenders behind our models' face, so that they are measured on the same rows.

What belongs here: adapters, one module a library, imported only when such a model is made (extra `peers`).
What does not: anything that our own models or the pipeline need.
"""
