"""Packed rows of LMs that attend otherwise than Llama: a sequence in a row is what it is alone."""

from copy import deepcopy

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    WhisperConfig,
)

from models import InserterForConditionalGeneration
from models.attention import PACKED
from models.configuration import InserterConfig

SHAPE = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
LMS = {
    "grouped heads": Qwen2Config(**SHAPE),
    "window of 4": MistralConfig(**SHAPE, sliding_window=4),
    "windows in every other layer": Gemma3TextConfig(
        **SHAPE, head_dim=8, sliding_window=4, layer_types=["sliding_attention", "full_attention"]
    ),
    "learned positions": GPT2Config(vocab_size=60, n_embd=32, n_layer=2, n_head=4, n_positions=64),
    "eager attention": Qwen2Config(**SHAPE),
}


@pytest.mark.parametrize(("name", "config"), LMS.items(), ids=LMS.keys())
def test_a_sequence_in_a_row_is_what_the_lm_says_of_it_alone(name: str, config: PreTrainedConfig) -> None:
    torch.manual_seed(0)
    encoder = WhisperConfig(d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=16)
    whole = InserterConfig(text_config=config, audio_config=encoder, adapter="pooling", audio_token_id=59)
    net = InserterForConditionalGeneration(whole).eval()
    if name == "eager attention":
        net.language_model.set_attn_implementation("eager")
    # A copy, since the model holds this very config, and would attend eagerly too.
    alone = AutoModelForCausalLM.from_config(deepcopy(config), attn_implementation="eager").eval()
    alone.load_state_dict(net.language_model.state_dict())
    assert net.language_model.config._attn_implementation == (PACKED if name != "eager attention" else "eager")
    rows = [torch.randint(0, 50, (length,)) for length in (17, 1, 9, 2)]
    with torch.no_grad():
        losses, owner = net.packed_losses([(ids, ids, []) for ids in rows])
        for number, ids in enumerate(rows):
            wanted = torch.nn.functional.cross_entropy(alone(input_ids=ids[None]).logits[0, :-1], ids[1:], reduction="none")
            assert torch.allclose(losses[owner == number], wanted, atol=1e-4), config.model_type
