"""Build sequences from a document and its clean clips.

The functions are pure: the seed and the inputs alone decide the result.
"""

from inserter.seeds import rng
from inserter.tables import Document, Part, Sequence, Span
from inserter.text.words import count_words, word_bounds
from inserter.training.sequences import speech_part, text_part, transcript_parts

LEAST_WORDS = 5  # a shorter continuation teaches nothing


def interleaved(document: Document, spans: list[Span]) -> list[Part]:
    """Return the parts of the document with `spans` spoken; the spans are in order.

    The joined text of the parts is the document, byte for byte. The blank before a span belongs to
    the spoken part, and the blank after a span to the text part. So no text part ends in a blank,
    which a tokenizer would make a separate token.
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
    if not any(part["loss"] for part in parts):  # spoken as a whole: the last span stays text
        return interleaved(document, spans[:-1])
    return parts


def first_words(text: str, count: int) -> str:
    """Return at most `count` words from the beginning of `text`, with its leading blank."""
    bounds = word_bounds(text)[:count]
    return text[: bounds[-1][1]] if bounds else ""


def speech_task(document: Document, span: Span, seed: int, *, transcribe_share: float, words: int) -> Sequence | None:
    """Return a sequence that transcribes the span, with a prefix, or that continues after the span.

    Return None if too little follows the span and no transcripts are wanted.
    """
    after = first_words(document["text"][span["end"] :], words)
    transcribe = rng(seed, span["utt_id"], "task").random() < transcribe_share
    if transcribe or count_words(after) < LEAST_WORDS:
        return sequence(document, f"{span['utt_id']}-t", "transcribe", parts=transcript_parts(span)) if transcribe_share else None
    return sequence(document, f"{span['utt_id']}-c", "continue", parts=[speech_part(span), text_part(after)])


def sequence(document: Document, seq_id: str, kind: str, *, parts: list[Part]) -> Sequence:
    words = sum(count_words(part["text"]) for part in parts)
    return {"seq_id": seq_id, "doc_id": document["doc_id"], "kind": kind, "parts": parts, "n_words": words}


def readable(row: Sequence) -> str:
    """Return a sequence as people read it: «heard», and text that is not learnt in brackets."""
    shown = []
    for part in row["parts"]:
        text = f"«{part['text'].strip()}»" if part["utt_id"] else part["text"] if part["loss"] else f"[{part['text']}]"
        shown.append(text)
    return f"## {row['seq_id']} ({row['kind']}, {row['n_words']} words)\n\n{' '.join(shown)}\n"
