"""Environment that every process of the project runs in: no telemetry, no progress noise, no secret download."""

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
    """Set what is not set yet; a value of the user's stands."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
