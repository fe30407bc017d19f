"""`inserter ablate` and `inserter experiment`: DVC experiments as a Prefect flow.

Each experiment runs in a working copy of its own.
"""
