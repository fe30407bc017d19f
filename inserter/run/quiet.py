"""Environment variables of every process of the project: no telemetry and no noise of libraries."""

import os

QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
}


def quiet() -> None:
    """Set the variables that are not set yet; the user's own values stay."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
