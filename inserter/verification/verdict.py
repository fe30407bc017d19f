"""Judge a measured clip, by a pure function of its row and the limits.

No audio is needed when a limit changes.
"""

from typing import NamedTuple

from inserter.audio.effects import Effect
from inserter.params import Verify
from inserter.tables import Verified, known
from inserter.verification.readings import contradicted
from inserter.verification.words import Compared

# dB. With noise that was added on purpose, `snr_db` (the range of levels) exceeds the SNR of the
# effect: by 5.2 to 10 on 189 clips.
ANNOUNCED_MARGIN = 4.0
HEARD_WELL, HEARD_TO_THE_END = 0.2, 0.5  # WER; similarity of the last words
# Above this z-score of the duration, words that only one recogniser heard count as spoken.
LONGER = 1.0


class Verdict(NamedTuple):
    """The verdict on one clip."""

    row: Verified
    """The clip with its `reason`, and the WER, extra words and ending that counted."""

    cleared: bool
    """Whether the second opinion saved the clip."""


def judge(row: Verified, limits: Verify) -> Verdict:
    """Return the verdict on a clip, whose reason is the first limit that it breaks.

    The reason names the figure. A clip that could not be measured keeps its own reason.
    """
    if row["reason"] is not None:
        return Verdict(row, False)
    found = heard(row)
    counted = row | {"wer": found.wer, "extra": found.extra, "ending": found.ending}
    counted["reason"] = reason(counted, limits)
    asked = row["second_wer"] is not None
    return Verdict(counted, asked and counted["reason"] is None and reason(row, limits) is not None)


def reason(row: Verified, limits: Verify) -> str | None:
    """Return the first limit that the row breaks, with the figure; None if the row breaks none."""
    return _of_the_sound(row, limits) or _of_the_words(row, limits)


def well_heard(row: Verified) -> bool:
    """Return whether either recogniser heard the clip almost as it was to be said.

    Only such a clip teaches how long a text should take.
    """
    found = heard(row)
    return found.wer <= HEARD_WELL and found.extra == 0 and found.ending > HEARD_TO_THE_END


def heard(row: Verified) -> Compared:
    """Return the figures that count: each from the recogniser that heard the clip better.

    Two recognisers that err independently seldom both take a good clip for a bad one. No recogniser
    hears exactly the words to be said in a clip that lacks them.

    Recognisers pass over a phrase that is said twice. In a clip longer than usual, the recogniser
    that heard more words is therefore right.
    """
    first = Compared(known(row["wer"]), known(row["extra"]), known(row["ending"]))
    if row["second_wer"] is None:
        return first
    second = Compared(row["second_wer"], known(row["second_extra"]), known(row["second_ending"]))
    longer = row["duration_z"] is not None and row["duration_z"] > LONGER
    return Compared(
        min(first.wer, second.wer),
        (max if longer else min)(first.extra, second.extra),
        max(first.ending, second.ending),
    )


def least_snr(row: Verified, limits: Verify) -> float:
    """Return the limit of `snr_db`, which is lower for a clip with noise added on purpose."""
    effect = Effect.from_json(row["effect"] or "")
    return min(limits.min_snr_db, effect.snr_db + ANNOUNCED_MARGIN) if effect.noise else limits.min_snr_db


def _of_the_sound(row: Verified, limits: Verify) -> str | None:
    if known(row["level_db"]) < limits.min_level_db:
        return f"level {row['level_db']:.1f} dB < {limits.min_level_db}"
    if known(row["clipping"]) > limits.max_clipping:
        return f"clipping {row['clipping']:.4f} > {limits.max_clipping}"
    if abs(known(row["dc"])) > limits.max_dc:
        return f"dc {row['dc']:.3f} is more than {limits.max_dc} from 0"
    if known(row["silence"]) > limits.max_silence:
        return f"silence {row['silence']:.2f} s > {limits.max_silence}"
    if known(row["snr_db"]) < least_snr(row, limits):
        return f"noise: levels range over {row['snr_db']:.1f} dB < {least_snr(row, limits):.1f}"
    if known(row["tail_db"]) > limits.max_tail_db:
        return f"truncated within a sound: tail {row['tail_db']:.1f} dB > {limits.max_tail_db}"
    return None


def _of_the_words(row: Verified, limits: Verify) -> str | None:
    if not limits.min_pace <= known(row["pace"]) <= limits.max_pace:
        return f"pace {row['pace']:.1f} characters per second is outside {limits.min_pace} to {limits.max_pace}"
    if known(row["wer"]) > limits.max_wer:
        return f"wer {row['wer']:.2f} > {limits.max_wer}"
    if known(row["extra"]) > limits.max_extra_words:
        return f"babble: {row['extra']} extra words > {limits.max_extra_words}"
    if known(row["ending"]) < limits.min_ending:
        return f"truncated: similarity of the last words {row['ending']:.2f} < {limits.min_ending}"
    contradiction = contradicted(row)
    if contradiction:
        return f"reading: {contradiction} in {row['second_wrote'] or row['wrote']!r}"
    if row["duration_z"] is not None and abs(row["duration_z"]) > limits.max_duration_z:
        return f"duration: z-score {row['duration_z']:.1f} beyond {limits.max_duration_z}"
    return None
