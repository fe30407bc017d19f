"""Small tables that pass every gate, for tests that break them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from checkout import ROOT

from inserter.files import read_table, write_json, write_jsonl, write_table
from inserter.params import Params, load
from inserter.scoring.ifeval import CHECKS
from inserter.tables import DOCUMENTS, HELDOUT, ITEMS, PAIRS, SEQUENCES, SPANS, UTTERANCES, VERIFIED
from stages.check.stage import check

SHARD = bytes(1000)
TABLES = {
    "data/corpus/documents-00000.parquet": DOCUMENTS,
    "data/segment/spans.parquet": SPANS,
    "data/synthesize/utterances.parquet": UTTERANCES,
    "data/verify/clean.parquet": VERIFIED,
    "data/verify/quarantine.parquet": VERIFIED,
    "data/interleave/sequences.parquet": SEQUENCES,
    "data/interleave/heldout.parquet": HELDOUT,
    "data/benchmark/items.parquet": ITEMS,
    "data/sft/pairs.parquet": PAIRS,
    "data/sft/clips/clips.parquet": UTTERANCES,
    "data/sft/clips/quarantine.parquet": VERIFIED,
}
DOCS, SPEECH, UTTS, CLEAN, QUARANTINE, SEQS, HELD, BENCH, PAIR, CLIPS, REFUSED = TABLES

# data/benchmark/prompts.jsonl
ASKED = [
    {"key": "0", "task": "closed", "prompt": "Write a poem about the sea in ten words."},
    {"key": "1", "task": "open", "prompt": "Describe how the clockmaker of the harbour town mends a broken bell."},
    {"key": "2", "task": "adjustment", "prompt": "Name three rivers, no, wait, name three lakes of the far north instead."},
]


def small_params() -> Params:
    loaded = load(ROOT / "params.yaml")
    corpus = loaded.corpus.model_copy(update={"heldout_documents": 2, "words": 1000})
    return loaded.model_copy(update={"corpus": corpus})


def fill(folder: Path) -> None:
    """The current directory, `folder`, as a workspace with these tables, their shards and reports."""
    shutil.copy(ROOT / "params.yaml", folder)
    for path, rows in good().items():
        write_table(path, rows, TABLES[path])
    for name in ("synthesize", "benchmark", "sft/clips"):
        (folder / "data" / name / "shard-00000.tar").write_bytes(SHARD)
    dropped = {"decontaminated": 1, "not_sampled": 7}
    write_json("reports/corpus.json", {"documents": {"in": 20, "kept": 12, "dropped": dropped}, "decontaminated": 1})
    write_jsonl("data/benchmark/prompts.jsonl", ASKED)
    absent = dict.fromkeys(("accent", "paralinguistics", "disfluency"), "no such voice")
    write_json("reports/benchmark.json", {"read": 81, "quarantined": {"total": 1, "silent": 1}, "absent": absent})
    dropped = {"overlaps the benchmark": 1, "answer fails": {"punctuation:no_comma": 2}, "cannot be spoken": {}}
    write_json("reports/sft.json", {"prompts": 7, "kept": 4, "dropped": dropped})


def edit(path: str, change: Callable[[list[dict]], object]) -> None:
    rows = read_table(path, TABLES[path])
    change(rows)
    write_table(path, rows, TABLES[path])


def failing(name: str, params: Params) -> list[dict]:
    """What `check` finds wrong, each with a remedy."""
    report = check(name, params)
    json.dumps(report, allow_nan=False)
    failed = [found for found in report["expectations"] if not found["passed"]]
    assert report["passed"] is (not failed)
    assert all(found["remedy"] for found in failed)
    return failed


def good() -> dict[str, list[dict]]:
    documents = [_document(n) for n in range(12)]
    clips = [_clip(n) for n in range(20)]
    measured = {
        "heard": "so",
        "wer": 0.0,
        "extra": 0,
        "ending": 1.0,
        "level_db": -20.0,
        "clipping": 0.0,
        "silence": 0.1,
        "dc": 0.0,
        "snr_db": 60.0,
        "tail_db": -80.0,
        "pace": 15.0,
        "duration_z": 0.5,
        "reason": None,
    }
    verified = [{**clip, **measured} for clip in clips]
    kinds = ["interleaved"] * 4 + ["transcribe", "transcribe", "continue"] + ["text"] * 3
    return {
        DOCS: documents,
        SPEECH: [_span(clip) for clip in clips],
        UTTS: clips,
        CLEAN: verified[:19],
        QUARANTINE: [{**verified[19], "wer": 0.9, "reason": "wer 0.90 > 0.35"}],
        SEQS: [sequence(n, kind) for n, kind in enumerate(kinds)],
        HELD: [_context(10, 11), _context(11, 10)],
        BENCH: _items(),
        PAIR: [_pair(n) for n in range(4)],
        CLIPS: [_clip(n) for n in range(4)],
        REFUSED: [],
    }


def _document(n: int) -> dict:
    split = "heldout" if n >= 10 else "train"
    return {
        "doc_id": f"d{n}",
        "source": "sotu",
        "license": "MIT",
        "weight": 1.0,
        "language": "en",
        "split": split,
        "text": "word " * 100,
        "n_words": 100,
    }


def _span(clip: dict) -> dict:
    return {**{name: clip[name] for name in SPANS.names if name in clip}, "level": "word", "start": 0, "end": 2}


def _clip(n: int) -> dict:
    place = {"shard": "shard-00000.tar", "offset": 40 * n, "size": 40}
    text = {"utt_id": f"u{n}", "doc_id": f"d{n % 10}", "split": "train", "written": "so", "spoken": "so"}
    return {
        **text,
        "engine": "hibari",
        "voice": "heart",
        **place,
        "sample_rate": 16000,
        "n_samples": 16000,
        "duration": 1.0,
    }


def sequence(n: int, kind: str) -> dict:
    spoken = [{"text": "so", "utt_id": f"u{n}", "loss": False}] if kind != "text" else []
    parts = [*spoken, {"text": "it goes on", "utt_id": None, "loss": True}]
    return {"seq_id": f"s{n}", "doc_id": f"d{n}", "kind": kind, "parts": parts, "n_words": 4}


def _context(n: int, other: int) -> dict:
    return {
        "doc_id": f"d{n}",
        "utt_id": f"u{n}",
        "context": "what was heard",
        "continuation": "what follows",
        "other_doc_id": f"d{other}",
    }


def _items() -> list[dict]:
    """English, spoken: closed-ended in two variants (rows 0-49), open (50, 51), adjustment (52, 53); then Chinese, only read."""
    kinds = list(enumerate(sorted(CHECKS)))
    closed = [_item(f"{n}-{variant}", n, variant, [kind]) for n, kind in kinds for variant in ("standard", "background")]
    opened = [_item(f"open-{n}", n, task="open", questions=["Is it a poem?"]) for n in range(2)]
    adjusted = [_item(f"adjustment-{n}", n, task="adjustment") for n in range(2)]
    silent = {"lang": "cn", "shard": None, "offset": 0, "size": 0, "duration": 0.0}
    read = [_item(f"{n}-cn", n, ids=[kind]) for n, kind in kinds] + [_item("open-cn", 0, task="open", questions=["是诗吗？"])]
    return [*closed, *opened, *adjusted, *({**item, **silent} for item in read)]


def _item(item_id: str, n: int, variant: str = "standard", ids: list[str] | None = None, **values: object) -> dict:
    text = {"task": "closed", "lang": "en", "prompt": "Write.", "clean_prompt": "Write.", "notes": "{}", "questions": []}
    place = {"shard": "shard-00000.tar", "offset": n, "size": 40, "duration": 1.0, "voice": "heart"}
    asked = {"instruction_id_list": ids or [], "kwargs": "[{}]" if ids else "[]"}
    return {"item_id": item_id, "key": str(n), "variant": variant, **text, **place, **asked, **values}


def _pair(n: int) -> dict:
    prompt = f"Tell of the {n} lamps of the old town, and leave out every comma."
    ids = {"pair_id": f"p{n}", "utt_id": f"u{n}", "instruction_id_list": ["punctuation:no_comma"], "kwargs": "[{}]"}
    return {**ids, "prompt": prompt, "spoken": prompt, "response": "They burn at night."}
