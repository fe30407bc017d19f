"""Examples: what is learnt or measured, as token ids with a placeholder for each clip."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from inserter.tables import Part, Turn, known
from models import InserterProcessor
from models.modeling import IGNORE
from models.plaintext import Turn as ChatTurn

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
    turns: list[Turn] = [
        {"role": "user", "parts": [{"text": prompt, "utt_id": utt_id, "loss": False}]},
        {"role": "assistant", "parts": [{"text": answer, "utt_id": None, "loss": True}]},
    ]
    return dialogue_examples(processor, turns, lengths=lengths)[0]


def dialogue_examples(processor: InserterProcessor, turns: list[Turn], *, lengths: Mapping[str, int] = NOTHING) -> list[Example]:
    """Return the examples of a conversation: one, or several if the LM's template needs them.

    Every answer and its end are learnt, and nothing else. Each answer follows the ids that the
    model gets when it is asked for it. A template may show an earlier answer otherwise, for example
    without its thoughts. Each answer is then learnt in an example of its own.

    lengths: see `example`. Raises ValueError for a template that loses or changes a text.
    """
    made: list[Example] = []
    ids: list[int] = []
    labels: list[int] = []
    for at, turn in enumerate(turns):
        if turn["role"] != "assistant":
            continue
        head = processor.prompt([_as_chat(earlier) for earlier in turns[:at]])
        tail = processor.answer("".join(part["text"] for part in turn["parts"]))
        begun = labels if ids == head[: len(ids)] else []
        made = made[: len(made) - bool(begun)]  # the last example goes on
        ids, labels = head + tail, begun + [IGNORE] * (len(head) - len(begun)) + tail
        heard = [part for earlier in turns[:at] for part in earlier["parts"] if part["utt_id"]]
        clips = tuple(known(part["utt_id"]) for part in heard)
        spoken = sum(
            lengths[clip] if clip in lengths else len(processor.encode(part["text"]))
            for clip, part in zip(clips, heard, strict=True)
        )
        made.append(Example(tuple(ids), tuple(labels), clips, len(ids) + spoken))
    return made


def _as_chat(turn: Turn) -> ChatTurn:
    return {"role": turn["role"], "content": [None if part["utt_id"] else part["text"] for part in turn["parts"]]}
