"""The adapter `pooling` is Qwen2-Audio's: the same weights give the same positions, whatever stands beside a clip."""

import pytest
import torch
from transformers import LlamaConfig, Qwen2AudioConfig, Qwen2AudioEncoder, Qwen2AudioEncoderConfig, WhisperConfig
from transformers.models.qwen2_audio.modeling_qwen2_audio import Qwen2AudioMultiModalProjector

from models import InserterConfig, InserterForConditionalGeneration

MELS, WINDOW, WIDTH, LM_WIDTH = 16, 48, 32, 24
TOKENS = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")
SHAPE = {"encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64, "d_model": WIDTH, "num_mel_bins": MELS}


def speech_llm(adapter: str = "pooling", stride: int = 2) -> InserterForConditionalGeneration:
    torch.manual_seed(0)
    audio = WhisperConfig(**SHAPE, max_source_positions=WINDOW, decoder_layers=1, vocab_size=60, **dict.fromkeys(TOKENS, 0))
    text = LlamaConfig(
        vocab_size=60, hidden_size=LM_WIDTH, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1
    )
    model = InserterForConditionalGeneration(
        InserterConfig(text_config=text, audio_config=audio, adapter=adapter, adapter_stride=stride, audio_token_id=59)
    )
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):  # transformers starts them at 0, which would hide what padding does
            torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


def qwen2_audio(model: InserterForConditionalGeneration, frames: int) -> tuple[Qwen2AudioEncoder, Qwen2AudioMultiModalProjector]:
    """Return Qwen2-Audio's encoder for windows of `frames` log-mel frames and its projector, with the weights of `model`."""
    config = Qwen2AudioEncoderConfig(**SHAPE, max_source_positions=frames // 2)
    encoder = Qwen2AudioEncoder(config).eval()
    weights = model.encoder.state_dict()
    weights["embed_positions.weight"] = weights["embed_positions.weight"][: frames // 2]
    encoder.load_state_dict(weights)
    projector = Qwen2AudioMultiModalProjector(Qwen2AudioConfig(audio_config=config, text_config=model.config.text_config.to_dict()))
    projector.load_state_dict({name.replace("project", "linear"): value for name, value in model.adapter.state_dict().items()})
    return encoder, projector


def positions(model: InserterForConditionalGeneration, clips: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the LM positions of clips (mels, frames), which are heard in one padded batch."""
    longest = max(clip.shape[1] for clip in clips)
    padded = torch.stack([torch.nn.functional.pad(clip, (0, longest - clip.shape[1])) for clip in clips])
    with torch.no_grad():
        return model.hear(*model.encode(padded, torch.tensor([clip.shape[1] for clip in clips])))


def drawn(*lengths: int) -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randn(MELS, length) for length in lengths]


def test_a_clip_that_fills_the_window_has_qwen2_audio_s_positions():
    model, (clip,) = speech_llm(), drawn(2 * WINDOW)
    encoder, projector = qwen2_audio(model, 2 * WINDOW)
    with torch.no_grad():
        expected = projector(encoder(clip[None]).last_hidden_state)[0]
    (found,) = positions(model, [clip])
    assert found.shape == (WINDOW // 2, LM_WIDTH)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_each_clip_of_a_batch_has_qwen2_audio_s_positions_of_the_clip_alone():
    """60 and 22 log-mel frames are 30 and 11 encoder frames. The eleventh has no partner, and AvgPool1d drops it."""
    model, lengths = speech_llm(), (60, 22, 2 * WINDOW, 4)
    clips = drawn(*lengths)
    found = positions(model, clips)
    assert [len(clip) for clip in found] == [15, 5, 24, 1]
    for clip, own in zip(clips, found, strict=True):
        encoder, projector = qwen2_audio(model, clip.shape[1])
        with torch.no_grad():
            expected = projector(encoder(clip[None]).last_hidden_state)[0]
        torch.testing.assert_close(own, expected, atol=1e-5, rtol=1e-5)


def test_qwen2_audio_s_own_padded_batch_agrees_where_its_padding_does_not_leak():
    """Qwen2-Audio masks padding in its attention alone.

    The bias of its first convolution makes padding frames that are not zero. The second convolution
    reads such a frame into the last real one if the clip has an odd number of log-mel frames. By
    attention, that frame then reaches every position of the clip. So Qwen2-Audio hears such a clip
    differently beside a longer clip, where ours is the same as alone. With an even number, both
    agree. Its processor pads the wave with silence; here the padding of the features is 0.
    """
    model, (even, odd, whole) = speech_llm(), drawn(40, 39, 2 * WINDOW)
    encoder, projector = qwen2_audio(model, 2 * WINDOW)
    found = positions(model, [even, odd, whole])
    alone = positions(model, [odd])[0]
    torch.testing.assert_close(found[1], alone, atol=1e-6, rtol=1e-5)
    for clip, own, agree in ((even, found[0], True), (odd, found[1], False)):
        padded = torch.nn.functional.pad(clip, (0, 2 * WINDOW - clip.shape[1]))[None]
        mask = torch.where(torch.arange(WINDOW) < (clip.shape[1] + 1) // 2, 0.0, -torch.inf)
        with torch.no_grad():
            states = encoder(padded, attention_mask=mask.expand(1, 1, WINDOW, WINDOW)).last_hidden_state
            expected = projector(states)[0, : len(own)]
        assert (float((own - expected).abs().max()) < 1e-6) == agree


@pytest.mark.parametrize("stride", [2, 3, 5])
def test_a_batch_is_each_clip_alone_at_any_stride(stride):
    """Clips of fewer frames than one average have no position: alone, beside others, and as the only clips."""
    model, lengths = speech_llm(stride=stride), (95, 33, 2 * stride, 2 * stride - 2, 1)
    clips = drawn(*lengths)
    found = positions(model, clips)
    assert [len(clip) for clip in found] == [(length + 1) // 2 // stride for length in lengths]
    assert len(found[-1]) == len(found[-2]) == 0
    for clip, own in zip(clips, found, strict=True):
        torch.testing.assert_close(own, positions(model, [clip])[0], atol=1e-5, rtol=1e-5)


def test_a_clip_without_a_position_leaves_the_text_as_it_is():
    model, (clip,) = speech_llm(stride=5), drawn(3)
    ids = torch.tensor([3, 59, 4, 5])
    with torch.no_grad():
        losses, _ = model.packed_losses([(ids, torch.where(ids == 59, -100, ids), positions(model, [clip]))])
        text = torch.tensor([3, 4, 5])
        expected, _ = model.packed_losses([(text, text, [])])
    torch.testing.assert_close(losses, expected)


def test_a_gradient_flows_into_the_encoder_through_the_average():
    """Each encoder frame of an average gets an equal share; a dropped frame still reaches the loss through attention."""
    model, (clip,) = speech_llm(), drawn(22)
    model.encoder.requires_grad_(True)
    given = clip[None].requires_grad_(True)
    (heard,) = model.hear(*model.encode(given, torch.tensor([22])))
    heard.square().sum().backward()
    assert bool((given.grad != 0).all())
    assert all(bool(p.grad.any()) for name, p in model.encoder.named_parameters() if p.requires_grad and "k_proj" not in name)


def test_stacking_projects_frames_side_by_side():
    """Its last stack is filled up with zeros, so that no frame is dropped."""
    model, clips = speech_llm("stacking", 4), drawn(60, 22)
    found = positions(model, clips)
    assert [len(clip) for clip in found] == [8, 3]
    with torch.no_grad():
        states, _ = model.encode(clips[1][None], torch.tensor([22]))
        rows = torch.nn.functional.pad(states[0], (0, 0, 0, 1)).reshape(3, 4 * WIDTH)
        torch.testing.assert_close(found[1], model.adapter.project(rows), atol=1e-5, rtol=1e-5)
