"""Rules of the gate after `verify`.

Every clip is accounted for. Clean clips are within the limits, and the others have a reason.
"""

from typing import TYPE_CHECKING

from inserter.audio.clips import SAMPLE_RATE
from inserter.audio.effects import Effect
from inserter.params import Params
from inserter.paths import DATA
from inserter.tables import SPANS, UNSEEN, UTTERANCES, VERIFIED, Verified
from stages.check.frames import Picked, Shards, frame, picker
from stages.check.rules import Table, above, absent, mean_within, one_of, present, rows, unique, within

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    "utt_id",
    "voice",
    "sample_rate",
    "duration",
    "wer",
    "extra",
    "ending",
    "pace",
    "duration_z",
    "level_db",
    "clipping",
    "dc",
    "silence",
    "snr_db",
    "tail_db",
    "reason",
    "in_shard",
]
ENOUGH = 50  # with fewer clips, a voice's own share in quarantine says nothing
AGAIN = "Delete data/verify and run `dvc repro verify`"
SPEAK_AGAIN = "Delete data/synthesize and run `dvc repro verify`"


def verify(params: Params) -> list[Table]:
    clean = _verified("clean")
    quarantine = _verified("quarantine")
    limits = params.verify
    return [
        Table(
            "clean",
            clean,
            "utt_id",
            (
                rows("Read data/verify/quarantine.parquet, which says why no clip is clean", low=1),
                present("utt_id", AGAIN),
                unique("utt_id", AGAIN),
                one_of("sample_rate", [SAMPLE_RATE], SPEAK_AGAIN),
                above("duration", 0.0, SPEAK_AGAIN),
                present("wer", AGAIN),
                within("wer", AGAIN, high=limits.max_wer),
                within("extra", AGAIN, high=limits.max_extra_words),
                within("ending", AGAIN, low=limits.min_ending),
                present("pace", AGAIN),
                within("pace", AGAIN, low=limits.min_pace, high=limits.max_pace),
                within("duration_z", AGAIN, low=-limits.max_duration_z, high=limits.max_duration_z),
                present("level_db", AGAIN),
                within("level_db", AGAIN, low=limits.min_level_db),
                within("clipping", AGAIN, high=limits.max_clipping),
                within("dc", AGAIN, low=-limits.max_dc, high=limits.max_dc),
                within("silence", AGAIN, high=limits.max_silence),
                within("snr_db", AGAIN, low=limits.min_snr_db),
                within("tail_db", AGAIN, high=limits.max_tail_db),
                absent("reason", AGAIN),
                one_of("in_shard", [True], SPEAK_AGAIN),
            ),
        ),
        Table("quarantine", quarantine, "utt_id", (present("reason", AGAIN),)),
        Table(
            "clean+quarantine",
            _all(clean, quarantine),
            "utt_id",
            (
                mean_within(
                    "quarantined",
                    "Correct the voice (reports/verify.json has the reasons), or raise verify.max_quarantine_share",
                    high=limits.max_quarantine_share,
                ),
            ),
        ),
        Table(
            "voices",
            _voices(clean, quarantine),
            "voice",
            (
                within(
                    "quarantine_share",
                    "Correct or remove the voice (see reports/verify.json), or raise verify.max_quarantine_share_by_voice",
                    high=limits.max_quarantine_share_by_voice,
                ),
            ),
        ),
        Table(
            "segment/synthesize/verify",
            _reconciled(clean, quarantine),
            "utt_id",
            (
                one_of("segmented", [1], "A clip belongs to no span: " + SPEAK_AGAIN),
                one_of("synthesized", [1], "A span was not spoken, or spoken twice: " + SPEAK_AGAIN),
                one_of("verified", [1], "A spoken clip is lost, or counted twice: " + AGAIN),
            ),
        ),
    ]


def _verified(name: str) -> "pd.DataFrame":
    shards = Shards(DATA / "synthesize")
    return frame(DATA / "verify" / f"{name}.parquet", VERIFIED, lambda row: _located(row, shards), columns=COLUMNS)


def _located(row: Verified, shards: Shards) -> Picked:
    # Noise that was added on purpose had another limit.
    noisy = Effect.from_json(row["effect"] or "").noise is not None
    return {**row, "in_shard": shards.hold(row), "snr_db": None if noisy else row["snr_db"]}


def _all(clean: "pd.DataFrame", quarantine: "pd.DataFrame") -> "pd.DataFrame":
    import pandas as pd

    ids = [*clean["utt_id"], *quarantine["utt_id"]]
    return pd.DataFrame({"utt_id": ids, "quarantined": [0] * len(clean) + [1] * len(quarantine)})


def _voices(clean: "pd.DataFrame", quarantine: "pd.DataFrame") -> "pd.DataFrame":
    """Return one row per voice with enough clips: the share of its clips that is quarantined."""
    import pandas as pd

    refused, all_clips = quarantine["voice"].value_counts(), pd.concat([clean["voice"], quarantine["voice"]]).value_counts()
    share = (refused.reindex(all_clips.index, fill_value=0) / all_clips)[all_clips >= ENOUGH]
    return pd.DataFrame({"voice": share.index, "quarantine_share": share.to_numpy(float)})


def _reconciled(clean: "pd.DataFrame", quarantine: "pd.DataFrame") -> "pd.DataFrame":
    """Return one row per utterance: how often it is a span, was spoken and was verified.

    All three counts must be 1.
    """
    import pandas as pd

    spans = frame(DATA / "segment" / "spans.parquet", SPANS, picker("utt_id", "level"), columns=["utt_id", "level"])
    spoken = frame(DATA / "synthesize" / "utterances.parquet", UTTERANCES, picker("utt_id"), columns=["utt_id"])
    # Contexts are spoken once more if there is a held-out voice.
    twins = spans.loc[spans["level"] == "context", "utt_id"] + UNSEEN
    counts = {
        "segmented": pd.concat([spans["utt_id"], twins[twins.isin(spoken["utt_id"])]]).value_counts(),
        "synthesized": spoken["utt_id"].value_counts(),
        "verified": pd.concat([clean["utt_id"], quarantine["utt_id"]]).value_counts(),
    }
    return pd.DataFrame(counts).fillna(0).astype(int).rename_axis("utt_id").reset_index()
