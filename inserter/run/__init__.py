"""Run a stage: the runner, unfinished work, process lifetime and workers."""
