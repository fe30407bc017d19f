"""From a document and its clean clips to sequences. Pure functions: a seed and the inputs decide."""

from inserter.seeds import rng
from inserter.text.words import count_words, word_bounds
from inserter.training.sequences import Row, speech_part, text_part, transcript_parts

LEAST_WORDS = 5  # a continuation shorter than this teaches nothing


def interleaved(document: Row, spans: list[Row]) -> list[Row]:
    """The document with `spans` (in order) spoken: the parts' text joined is the document, byte for byte.

    The blank before a span is the spoken part's, the one after it the text's: no text part ends in a blank, which a
    tokenizer would spell apart.
    """
    text, parts, at = document["text"], [], 0
    for span in spans:
        before = text[at : span["start"]].rstrip()
        if before:
            parts.append(text_part(before))
        parts.append(speech_part(span, text[at + len(before) : span["start"]]))
        at = span["end"]
    if text[at:]:
        parts.append(text_part(text[at:]))
    if not any(part["loss"] for part in parts):  # spoken from its beginning to its end: the last span stays text
        return interleaved(document, spans[:-1])
    return parts


def first_words(text: str, count: int) -> str:
    """At most `count` words from the beginning of `text`, its leading blank kept."""
    bounds = word_bounds(text)[:count]
    return text[: bounds[-1][1]] if bounds else ""


def speech_task(document: Row, span: Row, seed: int, transcribe_share: float, words: int) -> Row | None:
    """Transcribe what was heard (with a prefix), or continue after it. None: nothing follows, and no transcript is wanted."""
    after = first_words(document["text"][span["end"] :], words)
    transcribe = rng(seed, span["utt_id"], "task").random() < transcribe_share
    if transcribe or count_words(after) < LEAST_WORDS:
        return sequence(document, f"{span['utt_id']}-t", "transcribe", transcript_parts(span)) if transcribe_share else None
    return sequence(document, f"{span['utt_id']}-c", "continue", [speech_part(span), text_part(after)])


def sequence(document: Row, seq_id: str, kind: str, parts: list[Row]) -> Row:
    words = sum(count_words(part["text"]) for part in parts)
    return {"seq_id": seq_id, "doc_id": document["doc_id"], "kind": kind, "parts": parts, "n_words": words}


def readable(row: Row) -> str:
    """A sequence for people: «heard», and what is not learnt in brackets."""
    shown = []
    for part in row["parts"]:
        text = f"«{part['text'].strip()}»" if part["utt_id"] else part["text"] if part["loss"] else f"[{part['text']}]"
        shown.append(text)
    return f"## {row['seq_id']} ({row['kind']}, {row['n_words']} words)\n\n{' '.join(shown)}\n"
