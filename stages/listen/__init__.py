"""A page to listen to: sequences with their spoken spans as players, the best, the worst and some quarantined clips."""
