"""One package per DVC stage, run as `python -m stages.NAME`; what they share is in `inserter`."""
