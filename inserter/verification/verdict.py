"""The verdict on a measured clip: a pure function of its row and the limits. No audio is needed to change a limit."""

from typing import Any, NamedTuple

from inserter.audio.effects import Effect
from inserter.params import Verify
from inserter.verification.readings import contradicted
from inserter.verification.words import Compared

# dB: levels range further than noise that was added on purpose is below the speech, by 5.2 to 10 on 189 clips
ANNOUNCED_MARGIN = 4.0
HEARD_WELL, HEARD_TO_THE_END = 0.2, 0.5  # WER, likeness of the last words
LONGER = 1.0  # z-score of the duration from which words that only one recogniser heard are believed to be there


class Verdict(NamedTuple):
    """row: the clip with its reason, and the WER, extra words and ending that counted. cleared: the second opinion saved it."""

    row: dict[str, Any]
    cleared: bool


def judge(row: dict[str, Any], limits: Verify) -> Verdict:
    """The first limit that a measured clip breaks, with the figure, is its reason. What could not be measured keeps its own."""
    if row["reason"] is not None:
        return Verdict(row, False)
    counted = row | heard(row)._asdict()
    counted["reason"] = reason(counted, limits)
    asked = row["second_wer"] is not None
    return Verdict(counted, asked and counted["reason"] is None and reason(row, limits) is not None)


def reason(row: dict[str, Any], limits: Verify) -> str | None:
    return _of_the_sound(row, limits) or _of_the_words(row, limits)


def well_heard(row: dict[str, Any]) -> bool:
    """Fit to learn from how long a text should take: heard almost as it was to be said, by either recogniser."""
    found = heard(row)
    return found.wer <= HEARD_WELL and found.extra == 0 and found.ending > HEARD_TO_THE_END


def heard(row: dict[str, Any]) -> Compared:
    """What counts: each figure as the recogniser that heard the clip better has it. Two that err independently seldom both take a
    good clip for a bad one, and none hears just the words that were to be said where they are not.

    But recognisers pass over a phrase that is said twice: in a clip longer than usual the one that heard more words is right.
    """
    if row["second_wer"] is None:
        return Compared(row["wer"], row["extra"], row["ending"])
    longer = row["duration_z"] is not None and row["duration_z"] > LONGER
    return Compared(
        min(row["wer"], row["second_wer"]),
        (max if longer else min)(row["extra"], row["second_extra"]),
        max(row["ending"], row["second_ending"]),
    )


def least_snr(row: dict[str, Any], limits: Verify) -> float:
    """The limit of `snr_db`, lower for a clip that noise was added to on purpose."""
    effect = Effect.from_json(row["effect"] or "")
    return min(limits.min_snr_db, effect.snr_db + ANNOUNCED_MARGIN) if effect.noise else limits.min_snr_db


def _of_the_sound(row: dict[str, Any], limits: Verify) -> str | None:
    if row["level_db"] < limits.min_level_db:
        return f"level {row['level_db']:.1f} dB < {limits.min_level_db}"
    if row["clipping"] > limits.max_clipping:
        return f"clipping {row['clipping']:.4f} > {limits.max_clipping}"
    if abs(row["dc"]) > limits.max_dc:
        return f"dc {row['dc']:.3f}, more than {limits.max_dc} from 0"
    if row["silence"] > limits.max_silence:
        return f"silence {row['silence']:.2f} s > {limits.max_silence}"
    if row["snr_db"] < least_snr(row, limits):
        return f"noise: levels range over {row['snr_db']:.1f} dB < {least_snr(row, limits):.1f}"
    if row["tail_db"] > limits.max_tail_db:
        return f"truncated in mid-sound: tail {row['tail_db']:.1f} dB > {limits.max_tail_db}"
    return None


def _of_the_words(row: dict[str, Any], limits: Verify) -> str | None:
    if not limits.min_pace <= row["pace"] <= limits.max_pace:
        return f"pace {row['pace']:.1f} characters a second, not {limits.min_pace} to {limits.max_pace}"
    if row["wer"] > limits.max_wer:
        return f"wer {row['wer']:.2f} > {limits.max_wer}"
    if row["extra"] > limits.max_extra_words:
        return f"babble: {row['extra']} extra words > {limits.max_extra_words}"
    if row["ending"] < limits.min_ending:
        return f"truncated: the last words heard are {row['ending']:.2f} like those to be said < {limits.min_ending}"
    contradiction = contradicted(row)
    if contradiction:
        return f"reading: {contradiction} in {row['second_wrote'] or row['wrote']!r}"
    if row["duration_z"] is not None and abs(row["duration_z"]) > limits.max_duration_z:
        return f"duration: z-score {row['duration_z']:.1f} beyond {limits.max_duration_z}"
    return None
