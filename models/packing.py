"""Lay out many sequences side by side in one row, on the CPU.

Nothing here waits for a GPU: the layout depends on lengths alone, and goes to the device at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

IGNORE = -100  # label of a token that is not learnt


@dataclass(frozen=True)
class Row:
    """Sequences in one row of m positions, of which s are speech and k predict a learnt token."""

    ids: Tensor
    """(m,) the token at each position; the placeholder where speech is."""

    speech: Tensor
    """(s,) the positions of speech, clip by clip."""

    places: Tensor
    """(m,) the position within the sequence."""

    before: Tensor
    """(k,) the positions whose logits predict the learnt tokens."""

    targets: Tensor
    """(k,) the learnt tokens."""

    owner: Tensor
    """(k,) the index of the sequence to which each learnt token belongs."""

    ends: Tensor
    """int32 (sequences + 1,): 0, and where each sequence ends."""

    lengths: list[int]
    """The positions of each sequence."""

    def to(self, device: torch.device) -> "Row":
        """Return the row on `device`. The copies to a GPU do not make the CPU wait."""
        if device.type == "cpu":
            return self
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        pinned = device.type == "cuda"
        moved = {name: (t.pin_memory() if pinned else t).to(device, non_blocking=True) for name, t in tensors.items()}
        return Row(**moved, lengths=self.lengths)


def laid_out(sequences: Sequence[tuple[np.ndarray, np.ndarray, list[int]]], placeholder: int) -> Row:
    """Return the row of `sequences`, each (ids (n,), labels (n,), the positions of its clips).

    placeholder: the id that stands for a clip. Nothing predicts a sequence's first position. Raises
    ValueError if placeholders and clips differ in number.
    """
    ids, labels, lengths, speech = [], [], [], []
    for tokens, targets, clips in sequences:
        marked = tokens == placeholder
        if (found := int(marked.sum())) != len(clips):
            raise ValueError(f"the text has {found} audio placeholders for {len(clips)} clips")
        repeats = np.ones(len(tokens), dtype=np.int64)
        repeats[marked] = clips
        ids.append(tokens.repeat(repeats))
        labels.append(np.where(marked, IGNORE, targets).repeat(repeats))
        speech.append(marked.repeat(repeats))
        labels[-1][:1] = IGNORE
        lengths.append(len(ids[-1]))
    learnt = np.concatenate(labels)
    targets = np.flatnonzero(learnt != IGNORE)
    owner = np.arange(len(lengths)).repeat(lengths)
    return Row(
        ids=torch.from_numpy(np.concatenate(ids)),
        speech=torch.from_numpy(np.flatnonzero(np.concatenate(speech))),
        places=torch.from_numpy(np.concatenate([np.arange(length) for length in lengths])),
        before=torch.from_numpy(targets - 1),
        targets=torch.from_numpy(learnt[targets]),
        owner=torch.from_numpy(owner[targets]),
        ends=torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)),
        lengths=lengths,
    )
