"""Examples: what is learnt or measured, as token ids with a placeholder for each clip."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from inserter.tables import Part
from models import InserterProcessor
from models.modeling import IGNORE

NOTHING: Mapping[str, int] = {}


@dataclass(frozen=True)
class Example:
    """One sequence to learn from or to measure."""

    ids: tuple[int, ...]
    """Token ids, with one placeholder per clip."""

    labels: tuple[int, ...]
    """Parallel to `ids`; -100 where nothing is learnt."""

    clips: tuple[str, ...]
    """Ids of the clips, in order."""

    positions: int
    """LM positions, estimated before the speech is known.

    A spoken word counts as its written tokens, unless `heard_lengths` gives the clip's positions.
    """

    @property
    def learnt(self) -> int:
        """Number of tokens with a loss: the first token of a sequence has nothing before it."""
        return sum(label != IGNORE for label in self.labels[1:])


def example(
    processor: InserterProcessor,
    parts: Iterable[Part],
    end: bool = False,
    *,
    lengths: Mapping[str, int] = NOTHING,
    encode: Callable[[str], list[int]] | None = None,
) -> Example:
    """Return the example of a sequence's parts (text, utt_id, loss).

    end: the document's end is learnt as well. lengths: the positions of clips, where they are known
    before the clips are heard (`heard_lengths`). encode: returns the ids of a part's text; the
    processor's own by default.
    """
    encode = encode or processor.encode
    start, span = processor.document_start_id, processor.span_ids
    ids, labels, clips = [start], [IGNORE], []
    positions = 1
    for part in parts:
        utt_id = part["utt_id"]
        if utt_id:
            ids += span
            labels += [IGNORE] * len(span)
            clips.append(utt_id)
            spoken = lengths.get(utt_id)
            positions += len(span) - 1 + (len(encode(part["text"])) if spoken is None else spoken)
        else:
            text = encode(part["text"])
            ids += text
            labels += text if part["loss"] else [IGNORE] * len(text)
            positions += len(text)
    if end:
        ids.append(start)
        labels.append(start)
        positions += 1
    return Example(tuple(ids), tuple(labels), tuple(clips), positions)


def as_read(parts: Iterable[Part]) -> list[Part]:
    """Return the parts of a sequence with text in place of speech."""
    return [part | {"utt_id": None} for part in parts]


def chat_example(
    processor: InserterProcessor, prompt: str, answer: str, *, utt_id: str | None, lengths: Mapping[str, int] = NOTHING
) -> Example:
    """Return the example of a chat turn, which is heard if it has a `utt_id`, else read.

    Only the answer and its end are learnt. lengths: see `example`.
    """
    head = processor.chat([None if utt_id else prompt])
    tail = [*processor.encode(answer), processor.tokenizer.eos_token_id]
    spoken = lengths.get(utt_id, len(processor.encode(prompt))) if utt_id else 0
    return Example(
        tuple(head + tail), tuple([IGNORE] * len(head) + tail), (utt_id,) if utt_id else (), len(head) + len(tail) + spoken
    )
