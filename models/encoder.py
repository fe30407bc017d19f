"""Whisper's encoder on the true length of a clip: a span of 3 s costs 3 s, not 30 s."""

from typing import TypeVar

import torch
from torch import Tensor, nn
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

ENCODER_FRAMES = 50  # per second
Count = TypeVar("Count", int, Tensor)  # of one clip, or (clips,) of many


class SpeechEncoder(WhisperEncoder):
    """A Whisper encoder for clips of any length up to its window, batched with a mask.

    Whisper was trained on windows of 30 s. On the true length + 0.5 s, the encoder's features suit
    an adapter. A clip of 5 s then costs about a fifth of a window.
    """

    def __init__(self, config: WhisperConfig, pool: int = 1) -> None:
        """Build the encoder. pool: frames that are averaged into one before the last layer norm.

        Qwen2-Audio's encoder averages two. 1 gives Whisper's own encoder. The weights are the same.
        """
        super().__init__(config)
        self.pool = pool

    def forward(self, input_features: Tensor, lengths: Tensor) -> Tensor:
        """Return the states of log-mel features (clips, mels, frames).

        lengths: real frames per clip (clips,).

        100 frames per second come in, and 50 / `pool` go out: (clips, frames / 2 / pool, width).
        Padding changes no real state. `state_lengths` says which states are real. Raises ValueError
        beyond the window (3000 frames for Whisper).
        """
        frames = input_features.shape[-1]
        if frames > 2 * self.max_source_positions:
            raise ValueError(
                f"the clip has {frames} frames, but the encoder's window has {2 * self.max_source_positions}: split the clip"
            )
        hidden = nn.functional.gelu(self.conv1(input_features))
        # Zero the padding, so that a clip has the same states as alone, where zeros follow.
        hidden = hidden * (torch.arange(frames, device=hidden.device) < lengths.to(hidden.device)[:, None])[:, None]
        hidden = nn.functional.gelu(self.conv2(hidden)).permute(0, 2, 1)
        hidden = hidden + self.embed_positions.weight[: hidden.shape[1]]
        real = torch.arange(hidden.shape[1], device=hidden.device) < encoded_lengths(lengths).to(hidden.device)[:, None]
        mask = None if bool(real.all()) else real[:, None, None, :].expand(-1, 1, hidden.shape[1], -1)
        for layer in self.layers:
            hidden = layer(hidden, mask)
        return self.layer_norm(averaged(hidden, self.pool))

    def state_lengths(self, frames: Count) -> Count:
        """Return the number of states for log-mel frames.

        A last state of fewer than `pool` encoder frames is dropped, as AvgPool1d drops it.
        """
        return encoded_lengths(frames) // self.pool


def averaged(frames: Tensor, pool: int) -> Tensor:
    """Average each `pool` neighbouring frames: (clips, n, width) becomes (clips, n // pool, width).

    This is AvgPool1d, which refuses clips of fewer than `pool` frames. Here they have no frame.
    """
    if pool == 1:
        return frames
    count = frames.shape[1] // pool
    return frames[:, : count * pool].unflatten(1, (count, pool)).mean(dim=2)


def encoded_lengths(frames: Count) -> Count:
    """Return the encoder frames (50 per second) for log-mel frames (100 per second)."""
    return (frames + 1) // 2
