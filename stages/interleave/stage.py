"""The stage: make training sequences and held-out contexts in one pass over the corpus."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator

from tqdm import tqdm

from inserter.errors import InserterError
from inserter.files import atomic, publish, write_batches, write_table
from inserter.params import Params
from inserter.paths import DATA, WORK
from inserter.tables import HELDOUT, LEXICON, SEQUENCES, Context, HeldOutContext, Sequence
from inserter.training.processors import new_processor
from inserter.training.sequences import text_part
from inserter.training.tokens import tokenise
from stages.interleave.build import first_words, interleaved, readable, sequence, speech_task
from stages.interleave.join import Entry, entries

GROUPS = {"interleaved": "interleaved", "transcribe": "speech_tasks", "continue": "speech_tasks", "text": "text"}
SHOWN = 12  # number of sequences in sample.md


def main(params: Params) -> dict[str, object]:
    """Write the files of data/interleave and return the metrics.

    The files are sequences.parquet, heldout.parquet and sample.md. The folder `tokens` has the
    sequences as tokens of the LM. With `pretrain.distill`, `tokens-read` has them with text in
    place of speech.

    Memory holds one document, one batch of sequences and the held-out contexts.
    """
    mixer = Mixer(params)
    folder = WORK / "interleave" / "out"
    shutil.rmtree(folder, ignore_errors=True)  # of a killed run
    write_batches(folder / "sequences.parquet", mixer.sequences(tqdm(entries(), desc="interleave", unit="document")), SEQUENCES)
    if not mixer.kinds:
        raise InserterError("no training sequence could be made", "Read reports/verify.json: all clips may be quarantined")
    heldout = mixer.heldout
    if len(heldout) < 2:
        raise InserterError(f"{len(heldout)} held-out contexts, at least 2 are needed", "Raise corpus.heldout_documents")
    others: list[HeldOutContext] = [
        {**row, "other_doc_id": heldout[(i + 1) % len(heldout)]["doc_id"]} for i, row in enumerate(heldout)
    ]
    write_table(folder / "heldout.parquet", others, HELDOUT)
    processor = new_processor(params.assets, params.model.delimiters)
    for read in (False, True) if params.pretrain.distill else (False,):
        tokens = folder / ("tokens-read" if read else "tokens")
        tokenise(folder / "sequences.parquet", processor, tokens, read=read)
    atomic(folder / "sample.md", lambda path: path.write_text("\n".join(mixer.shown), encoding="utf-8"))
    publish(folder, DATA / "interleave")
    return mixer.metrics()


class Mixer:
    """Turns training documents into sequences, and counts them.

    Each document goes to the group that is furthest behind its share of the words.
    """

    def __init__(self, params: Params) -> None:
        self.p = params.interleave
        self.heldout_words = params.segment.continuation_words
        mixture = self.p.mixture
        shares = {"interleaved": mixture.interleaved, "speech_tasks": mixture.speech_tasks, "text": mixture.text}
        self.shares = {group: share for group, share in shares.items() if share > 0}
        self.words: Counter[str] = Counter(dict.fromkeys(self.shares, 0))
        self.kinds: Counter[str] = Counter()
        self.spans: Counter[str] = Counter()
        self.heldout: list[Context] = []  # at most corpus.heldout_documents
        self.shown: list[str] = []

    def sequences(self, documents: Iterable[Entry], size: int = 1024) -> Iterator[list[Sequence]]:
        """Yield rows of SEQUENCES, about `size` at a time.

        The contexts of held-out documents go to `self.heldout`.
        """
        batch: list[Sequence] = []
        for entry in documents:
            self.spans["all"] += entry.n_spans
            self.spans["clean"] += len(entry.spans)
            split = entry.document["split"]
            if split == "train":
                batch += self._count(self._made_of(entry))
            elif split == LEXICON:
                self.spans[LEXICON] += len(entry.spans)
            elif entry.spans:
                self.heldout.append(self._context(entry))
            if len(batch) >= size:
                yield batch
                batch = []
        yield batch

    def _made_of(self, entry: Entry) -> list[Sequence]:
        document, spans = entry.document, entry.spans
        groups = self.shares if spans else [g for g in self.shares if g == "text"]
        if not groups:
            return []  # the document has no clean clip, and no plain text is wanted
        group = min(groups, key=lambda g: self.words[g] / self.shares[g])
        if group == "interleaved":
            return [sequence(document, f"{document['doc_id']}-i", "interleaved", parts=interleaved(document, spans))]
        if group == "speech_tasks":
            p = self.p
            tasks = (
                speech_task(document, span, p.seed, transcribe_share=p.transcribe_share, words=p.continuation_words)
                for span in spans
            )
            return [task for task in tasks if task]
        return [sequence(document, f"{document['doc_id']}-x", "text", parts=[text_part(document["text"])])]

    def _count(self, rows: list[Sequence]) -> list[Sequence]:
        for row in rows:
            self.kinds[row["kind"]] += 1
            self.words[GROUPS[row["kind"]]] += row["n_words"]
            self.spans["used"] += sum(part["utt_id"] is not None for part in row["parts"])
            if len(self.shown) < SHOWN:
                self.shown.append(readable(row))
        return rows

    def _context(self, entry: Entry) -> Context:
        """Return the context that is heard or read, and the text that follows it."""
        span = entry.spans[0]
        after = first_words(entry.document["text"][span["end"] :], self.heldout_words)
        return {
            "doc_id": entry.document["doc_id"],
            "utt_id": span["utt_id"],
            "unseen_utt_id": entry.unseen(span),
            "context": span["written"],
            "continuation": after,
        }

    def metrics(self) -> dict[str, object]:
        """Return the metrics.

        Of the spans, all = clean + those whose clip is in quarantine, and
        clean = in_sequences + in_heldout + in_lexicon + not_used.
        """
        total = self.words.total()
        clean, used, heldout, lists = self.spans["clean"], self.spans["used"], len(self.heldout), self.spans[LEXICON]
        return {
            "sequences": self.kinds.total(),
            "by_kind": dict(self.kinds),
            "words": total,
            "share_of_words": {group: count / total for group, count in self.words.items()},
            "spans": {
                "all": self.spans["all"],
                "clean": clean,
                "in_sequences": used,
                "in_heldout": heldout,
                "in_lexicon": lists,
                "not_used": clean - used - heldout - lists,
            },
            "heldout_contexts": heldout,
            "heldout_in_unseen_voice": sum(row["unseen_utt_id"] is not None for row in self.heldout),
        }
