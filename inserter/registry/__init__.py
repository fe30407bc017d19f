"""Connect to the MLflow registry and keep its files in place."""
