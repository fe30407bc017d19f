"""The log-mel features are those of another implementation, whatever transformers makes of its extractor."""

import numpy as np
import torch
import torchaudio

from models import InserterProcessor
from models.processor import TAIL_SECONDS
from models.sound import SAMPLE_RATE


def test_log_mel_features_are_those_of_torchaudio(tiny_lm, tiny_encoder):
    processor = InserterProcessor.from_parts(str(tiny_lm), str(tiny_encoder))
    wave = np.random.default_rng(0).standard_normal(20_000).astype(np.float32) * np.linspace(0, 0.3, 20_000, dtype=np.float32)
    given = processor.features([wave])
    mel = torchaudio.transforms.MelSpectrogram(
        SAMPLE_RATE, n_fft=400, hop_length=160, n_mels=80, f_max=8_000.0, norm="slaney", mel_scale="slaney"
    )
    # Whisper drops the last frame, and no value is more than 8 decades below the clip's greatest.
    powers = mel(torch.from_numpy(np.pad(wave, (0, int(TAIL_SECONDS * SAMPLE_RATE)))))[:, :-1].clamp(min=1e-10).log10()
    expected = (powers.clamp(min=float(powers.max()) - 8) + 4) / 4
    assert given["feature_lengths"].tolist() == [expected.shape[-1]]
    torch.testing.assert_close(given["input_features"][0], expected, atol=1e-4, rtol=0)


def test_features_are_computed_in_full_within_a_training_step_in_bf16(tiny_lm, tiny_encoder):
    processor = InserterProcessor.from_parts(str(tiny_lm), str(tiny_encoder))
    wave = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    with torch.autocast("cpu", torch.bfloat16):
        within = processor.features([wave])["input_features"]
    assert torch.equal(within, processor.features([wave])["input_features"])
