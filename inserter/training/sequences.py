"""The parts of a sequence: text to learn or to read, and speech. What training makes, the held-out measurement makes too."""

from typing import Any

TRANSCRIBE = "Transcribe what you hear:"

Row = dict[str, Any]


def text_part(text: str, loss: bool = True) -> Row:
    return {"text": text, "utt_id": None, "loss": loss}


def speech_part(span: Row, blank: str = "") -> Row:
    """span: utt_id and the written form."""
    return {"text": blank + span["written"], "utt_id": span["utt_id"], "loss": False}


def transcript_parts(span: Row) -> list[Row]:
    """The request, what is heard, and its transcript, which alone is learnt."""
    return [text_part(TRANSCRIBE, False), speech_part(span), text_part("\n" + span["written"])]
