"""The names of decisions on a version."""

PROMOTED, KEPT, REFUSED = "promoted", "kept", "refused"  # by the rules
FORCED, RESTORED, WITHDRAWN = "forced", "restored", "withdrawn"  # by a person
MOVES = (PROMOTED, FORCED, RESTORED)  # after which the version is champion
