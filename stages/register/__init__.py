"""Model, scores and curves into MLflow: a run with one nested run a stage, and a version in the registry."""
