"""segment: which spans of each document become speech, as they are written and as they are spoken."""
