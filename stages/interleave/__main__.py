"""`python -m stages.interleave`: documents, spans and clean clips to data/interleave."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from stages.common.errors import InserterError
from stages.common.files import publish, read_batches, read_table, write_table
from stages.common.params import Params
from stages.common.paths import DATA, WORK
from stages.common.runner import run_stage
from stages.common.tables import DOCUMENTS, HELDOUT, SEQUENCES, SPANS, VERIFIED
from stages.interleave.build import Row, first_words, interleaved, readable, sequence, speech_task, text_part

GROUPS = {"interleaved": "interleaved", "transcribe": "speech_tasks", "continue": "speech_tasks", "text": "text"}
SHOWN = 12  # sequences in the readable dump


def documents() -> Iterator[Row]:
    for batch in read_batches(DATA / "corpus", DOCUMENTS):
        yield from batch


def clean_spans() -> tuple[dict[str, list[Row]], int]:
    """Spans whose clip passed verification, by document in order, and the number of all spans."""
    clean = {row["utt_id"] for batch in read_batches(DATA / "verify" / "clean.parquet", VERIFIED) for row in batch}
    spans: dict[str, list[Row]] = defaultdict(list)
    count = 0
    for row in read_table(DATA / "segment" / "spans.parquet", SPANS):
        count += 1
        if row["utt_id"] in clean:
            spans[row["doc_id"]].append(row)
    for rows in spans.values():
        rows.sort(key=lambda row: row["start"])
    return spans, count


def mix(params: Params, spans: dict[str, list[Row]]) -> list[Row]:
    """Each training document becomes what is furthest behind its share of the words: interleaved, speech tasks or text."""
    p = params.interleave
    shares = {"interleaved": p.mixture.interleaved, "speech_tasks": p.mixture.speech_tasks, "text": p.mixture.text}
    shares = {group: share for group, share in shares.items() if share > 0}
    words = Counter(dict.fromkeys(shares, 0))
    rows: list[Row] = []
    for document in tqdm(documents(), desc="interleave", unit="document"):
        if document["split"] != "train":
            continue
        own = spans.get(document["doc_id"], [])
        groups = shares if own else [g for g in shares if g == "text"]
        if not groups:
            continue  # no clip of it is clean and no plain text is wanted
        group = min(groups, key=lambda g: words[g] / shares[g])
        if group == "interleaved":
            new = [sequence(document, f"{document['doc_id']}-i", "interleaved", interleaved(document, own))]
        elif group == "speech_tasks":
            new = [speech_task(document, s, p.seed, p.transcribe_share, p.continuation_words) for s in own]
        else:
            new = [sequence(document, f"{document['doc_id']}-x", "text", [text_part(document["text"])])]
        words[group] += sum(row["n_words"] for row in new)
        rows += new
    return rows


def contexts(params: Params, spans: dict[str, list[Row]]) -> list[Row]:
    """Held-out documents: the context that is heard or read, what follows it, and the next document as the baseline."""
    rows = []
    for document in documents():
        if document["split"] != "heldout":
            continue
        for span in spans.get(document["doc_id"], [])[:1]:
            after = first_words(document["text"][span["end"] :], params.segment.continuation_words)
            rows.append({"doc_id": document["doc_id"], "utt_id": span["utt_id"], "context": span["written"], "continuation": after})
    return [{**row, "other_doc_id": rows[(i + 1) % len(rows)]["doc_id"]} for i, row in enumerate(rows)]


def main(params: Params) -> dict[str, Any]:
    spans, n_spans = clean_spans()
    rows = mix(params, spans)
    if not rows:
        raise InserterError("no training sequence could be made", "Look at reports/verify.json: all clips may be quarantined")
    heldout = contexts(params, spans)
    if len(heldout) < 2:
        raise InserterError(f"{len(heldout)} held-out contexts, at least 2 are needed", "Raise corpus.heldout_documents")
    folder = WORK / "interleave" / "out"
    write_table(folder / "sequences.parquet", rows, SEQUENCES)
    write_table(folder / "heldout.parquet", heldout, HELDOUT)
    (folder / "sample.md").write_text("\n".join(readable(row) for row in rows[:SHOWN]), encoding="utf-8")
    publish(folder, DATA / "interleave")
    return report(rows, heldout, spans, n_spans)


def report(rows: list[Row], heldout: list[Row], spans: dict[str, list[Row]], n_spans: int) -> dict[str, Any]:
    words: Counter = Counter()
    for row in rows:
        words[GROUPS[row["kind"]]] += row["n_words"]
    total = sum(words.values())
    used = sum(1 for row in rows for part in row["parts"] if part["utt_id"])
    clean = sum(map(len, spans.values()))
    return {
        "sequences": len(rows),
        "by_kind": dict(Counter(row["kind"] for row in rows)),
        "words": total,
        "share_of_words": {group: count / total for group, count in words.items()},
        "spans": {"all": n_spans, "clean": clean, "in_sequences": used, "in_heldout": len(heldout),
                  "not_used": clean - used - len(heldout)},
        "heldout_contexts": len(heldout),
    }  # fmt: skip


if __name__ == "__main__":
    run_stage("interleave", main)
