"""The stage `register`: log the model, the scores and the curves to MLflow.

The pipeline's run has one nested run per stage. The model becomes a version in the registry.
"""
