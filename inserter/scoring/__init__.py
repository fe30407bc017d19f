"""Score answers by SpeechInstructBench's rules, and compute figures from the verdicts."""
