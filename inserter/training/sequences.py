"""Make the parts of a sequence: text to learn or to read, and speech.

Training and the held-out measurement make the same parts.
"""

from collections.abc import Mapping
from typing import Any

from inserter.tables import Part

TRANSCRIBE = "Transcribe what you hear:"


def text_part(text: str, loss: bool = True) -> Part:
    return {"text": text, "utt_id": None, "loss": loss}


def speech_part(span: Mapping[str, Any], blank: str = "") -> Part:
    """Return a part that is heard.

    span: a row with utt_id and the written form. blank: the space before it in the text.
    """
    return {"text": blank + span["written"], "utt_id": span["utt_id"], "loss": False}


def transcript_parts(span: Mapping[str, Any]) -> list[Part]:
    """Return the request, the clip, and its transcript, which alone is learnt."""
    return [text_part(TRANSCRIBE, False), speech_part(span), text_part("\n" + span["written"])]
