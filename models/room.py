"""How many positions an LM has, and what is said of a prompt that needs more. Beyond them it answers nonsense, or not at all."""

from typing import Any

UNLIMITED = 1 << 20  # of an LM that knows no limit


class TooLong(ValueError):
    """Prompts that have no room with their answers. rows: {number in the batch: what it needs}; `str(error)` is one line."""

    remedy = "Give less sound or text, lower max_new_tokens, or take an LM with a longer context"

    def __init__(self, rows: dict[int, str]) -> None:
        super().__init__(next(iter(rows.values())))
        self.rows = rows


def room(config: Any) -> int:
    """Positions, of text and speech together, of the LM in a model's `config`."""
    return getattr(config.get_text_config(), "max_position_embeddings", UNLIMITED)


def check_room(config: Any, lengths: list[int], new: int) -> None:
    """Raises TooLong for prompts of `lengths` positions, where `new` tokens may be answered and both together are too many."""
    most = room(config)
    told = "the prompt has {:,} positions of speech and text, and {:,} tokens may be answered; the model has room for {:,} together"
    if rows := {row: told.format(length, new, most) for row, length in enumerate(lengths) if length + new > most}:
        raise TooLong(rows)
