"""What `synthesize` and `verify` write, for readers that are not ours; and what the documents tell them to type."""

import re
from pathlib import Path

import pyarrow.parquet as pq
from checkout import ROOT

from inserter.audio.effects import Effect
from inserter.files import read_batches, write_table
from inserter.params import Voice
from inserter.tables import UTTERANCES, VERIFIED, Utterance
from inserter.tts import Job, speak_all
from stages.verify.cuts import write_cuts

HEART = Voice(name="heart", engine="hibari", voice="heart", license="Apache-2.0")
TEXTS = ["Good morning.", "We owe $35 million.", "日本語", "Fine, and you?", "The state of the Union is strong."]
QUARANTINED = "u-4"


def publish(root: Path) -> dict[str, Utterance]:
    """data/synthesize and data/verify below `root`. Return the rows of the clean clips by utt_id.

    Two shards, with one clip in two changed by an effect. u-2 and u-7 cannot be spoken, and u-4 is quarantined.
    """
    effects = [None, Effect("babble", 15.0, -3.0), None, Effect(gain_db=-2.5)]
    jobs = [Job(f"u-{n}", "d", "train", TEXTS[n % 5], TEXTS[n % 5], "heart", effects[n % 4]) for n in range(10)]
    out, verified = root / "data/synthesize", root / "data/verify"
    rows = speak_all(jobs, [HEART], out, rows=root / "rows", workers=1, shard_clips=5, keep_originals=True)
    write_table(out / "utterances.parquet", rows, UTTERANCES)
    passed = [row for row in rows if not row["error"] and row["utt_id"] != QUARANTINED]
    clean = [row | {"heard": row["spoken"].lower(), "wer": 0.0} for row in passed]
    write_table(verified / "clean.parquet", clean, VERIFIED)
    write_cuts(verified / "cuts.jsonl.gz", read_batches(verified / "clean.parquet", VERIFIED), Path("data/synthesize"))
    return {row["utt_id"]: row for row in pq.read_table(verified / "clean.parquet").to_pylist()}


def documented(name: str) -> dict[str, object]:
    """Run the Python block of docs/SCALE.md that imports `name`, after the block for all, and return its variables."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/SCALE.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    variables: dict[str, object] = {}
    exec(next(block for block in blocks if block.startswith("import pyarrow")), variables)
    exec(next(block for block in blocks if name in block), variables)
    return variables
