"""Entry `encode_true_length`: short clips at their own length against Whisper's padding to 30 s."""

from flows.bench.compare import Entry, compare
from inserter.params import load


def encode_true_length() -> Entry:
    """Measure the encoder of params.yaml on clips of 2, 4 and 8 s at their own length.

    The other side has the same clips padded to 30 s.
    """
    import torch
    from transformers import WhisperForConditionalGeneration

    from inserter.assets import encoder_folder
    from models.encoder import SpeechEncoder

    whisper = WhisperForConditionalGeneration.from_pretrained(encoder_folder(load().assets.encoder))
    encoder = SpeechEncoder(whisper.config)
    encoder.load_state_dict(whisper.model.encoder.state_dict())
    encoder.eval()
    generator = torch.Generator().manual_seed(0)
    clips = [torch.randn(1, whisper.config.num_mel_bins, 100 * s, generator=generator) for s in (2, 4, 8)]
    window = 2 * whisper.config.max_source_positions

    def true_length() -> None:
        for clip in clips:
            encoder(clip, torch.tensor([clip.shape[-1]]))

    def padded() -> None:
        for clip in clips:
            wide = torch.nn.functional.pad(clip, (0, window - clip.shape[-1]))
            encoder(wide, torch.tensor([window]))

    with torch.inference_mode():
        return compare("encode_true_length", true_length, padded, against="the same clips (2, 4 and 8 s) padded to 30 s")
