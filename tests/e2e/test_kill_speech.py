"""Killed at any moment and run again, speech and its verdicts end with the bytes of an undisturbed run.

Three moments here; INSERTER_KILL_MOMENTS=10, or `python -m kill_speech --moments 10`, for more.
"""

import os

from kill_speech import trials


def test_killed_at_random_moments_both_stages_end_with_the_same_bytes(tmp_path):
    outcomes = list(trials(tmp_path, int(os.environ.get("INSERTER_KILL_MOMENTS", "3")), seed=1))
    assert [outcome.different for outcome in outcomes] == [[]] * len(outcomes)
    assert any(outcome.killed and outcome.files > 2 for outcome in outcomes), "in mid-run"
