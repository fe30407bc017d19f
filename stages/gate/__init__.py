"""gate: reads what `stages.check` found and stops the pipeline, naming the remedy, when that was not good enough."""
