"""Where MLflow is."""
