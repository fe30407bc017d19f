"""The speech LLM: encoder, adapter, causal LM, processor. Knows nothing of the pipeline."""
