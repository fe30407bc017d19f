"""Check what a stage wrote with a Great Expectations suite.

A check reports its findings and exits 0. Only `stages.gate` stops the pipeline.
"""
