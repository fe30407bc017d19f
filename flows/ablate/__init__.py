"""`inserter ablate` and `inserter experiment`: DVC experiments as a Prefect flow, each in a working copy of its own."""
