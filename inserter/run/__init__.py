"""How a stage runs."""
