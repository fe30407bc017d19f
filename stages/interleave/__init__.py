"""Make training sequences of text and speech from documents and verified clips."""
