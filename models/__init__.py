"""The speech LLM (encoder, adapter, causal LM and processor), and the reader of sound.

This package knows nothing of the pipeline.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.configuration import InserterConfig
    from models.modeling import InserterForConditionalGeneration
    from models.processor import InserterProcessor

__all__ = ["InserterConfig", "InserterForConditionalGeneration", "InserterProcessor"]

_HOMES = {
    "InserterConfig": "models.configuration",
    "InserterForConditionalGeneration": "models.modeling",
    "InserterProcessor": "models.processor",
}


def __getattr__(name: str) -> object:
    """Import a class on first use.

    The imports of torch and transformers take seconds, and reading sound needs neither.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
