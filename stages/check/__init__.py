"""check: a Great Expectations suite over what a stage wrote. It reports and exits 0; `stages.gate` is what stops."""
