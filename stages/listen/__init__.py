"""The stage `listen` builds a page with audio players.

The page shows sequences with their spoken spans, and the best, worst and some quarantined clips.
"""
