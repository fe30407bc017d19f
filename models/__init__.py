"""The speech LLM: encoder, adapter, causal LM, processor. Knows nothing of the pipeline."""

from models.configuration import InserterConfig
from models.modeling import InserterForConditionalGeneration
from models.processor import InserterProcessor

__all__ = ["InserterConfig", "InserterForConditionalGeneration", "InserterProcessor"]
