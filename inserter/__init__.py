"""What flows and stages of the pipeline share, in rooms; `score` and `judge` need nothing else."""
