"""Make the parts of a sequence: text to learn or to read, and speech.

Training and the held-out measurement make the same parts.
"""

from typing import TypedDict

from inserter.tables import Part

TRANSCRIBE = "Transcribe what you hear:"


class Said(TypedDict):
    """What a part takes from a row of Span: the clip, and the written form."""

    utt_id: str
    written: str


def text_part(text: str, loss: bool = True) -> Part:
    return {"text": text, "utt_id": None, "loss": loss}


def speech_part(span: Said, blank: str = "") -> Part:
    """Return a part that is heard. blank: the space before it in the text."""
    return {"text": blank + span["written"], "utt_id": span["utt_id"], "loss": False}


def transcript_parts(span: Said) -> list[Part]:
    """Return the request, the clip, and its transcript, which alone is learnt."""
    return [text_part(TRANSCRIBE, False), speech_part(span), text_part("\n" + span["written"])]
