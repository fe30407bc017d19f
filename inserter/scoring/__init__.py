"""SpeechInstructBench's rules, and the figures made of verdicts."""
