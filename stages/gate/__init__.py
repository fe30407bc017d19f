"""Stop the pipeline and name the remedy if `stages.check` found a failure."""
