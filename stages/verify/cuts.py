"""Write the clean clips as a cut manifest of Lhotse, which points into the shards.

Source: https://lhotse.readthedocs.io/en/latest/cuts.html
"""

import gzip
import json
import shlex
from collections.abc import Iterable
from pathlib import Path

from inserter.files import atomic
from inserter.tables import Verified, known


def write_cuts(path: Path, batches: Iterable[list[Verified]], shards: Path) -> Path:
    """Write each row as a line of `path` (`.jsonl.gz`); the same rows give the same bytes.

    shards: the folder of the shards, as a reader is to find it.
    """

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
            for rows in batches:
                for row in rows:
                    packed.write(json.dumps(_cut(row, shards), ensure_ascii=False).encode() + b"\n")

    return atomic(path, write)


def _cut(row: Verified, shards: Path) -> dict[str, object]:
    """Return the MonoCut of a clip.

    Lhotse knows no place inside a file, so the audio comes from a command that reads that place.
    """
    name = row["utt_id"]
    span = {"start": 0.0, "duration": row["duration"], "channel": 0}
    place = f"tail -c +{row['offset'] + 1} {shlex.quote(str(shards / known(row['shard'])))} | head -c {row['size']}"
    return {
        "type": "MonoCut",
        "id": name,
        **span,
        "supervisions": [
            {
                "id": name,
                "recording_id": name,
                **span,
                "text": row["written"],
                "language": row["language"],
                "speaker": row["voice"],
                "custom": {
                    "doc_id": row["doc_id"],
                    "split": row["split"],
                    "spoken": row["spoken"],
                    "heard": row["heard"],
                    "wer": row["wer"],
                    "engine": row["engine"],
                    "license": row["license"],
                    "effect": row["effect"],
                },
            }
        ],
        "recording": {
            "id": name,
            "sources": [{"type": "command", "channels": [0], "source": place}],
            "sampling_rate": row["sample_rate"],
            "num_samples": row["n_samples"],
            "duration": row["duration"],
        },
    }
