"""Check that prompts and their answers have room in the LM's positions.

Beyond its positions, an LM answers nonsense, or not at all.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

UNLIMITED = 1 << 20  # positions of an LM without a limit


class TooLong(ValueError):
    """Prompts that have no room together with their answers. `str(error)` is one line.

    rows: what each such prompt needs, by its index in the batch.
    """

    remedy = "Give less sound or text, lower max_new_tokens, or use an LM with a longer context"

    def __init__(self, rows: dict[int, str]) -> None:
        super().__init__(next(iter(rows.values())))
        self.rows = rows


def room(config: "PreTrainedConfig") -> int:
    """Return the positions, of text and speech together, of the LM in a model's `config`."""
    return getattr(config.get_text_config(), "max_position_embeddings", UNLIMITED)


def check_room(config: "PreTrainedConfig", lengths: list[int], new: list[int]) -> None:
    """Raise TooLong if a prompt and its answer have no room.

    lengths: positions of each prompt.
    new: the most tokens of each answer.
    """
    most = room(config)
    problem = (
        "the prompt has {:,} positions of speech and text, and {:,} tokens may be answered; the model has room for {:,} together"
    )
    pairs = enumerate(zip(lengths, new, strict=True))
    if rows := {row: problem.format(length, more, most) for row, (length, more) in pairs if length + more > most}:
        raise TooLong(rows)
