"""The decoding loop gives what transformers' own loop gives, whatever ends when."""

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig

from models import InserterForConditionalGeneration, InserterProcessor, decoding
from models.decoding import decode, keeps_all

TEXTS = ["fox", "The quick brown fox jumps over the lazy dog", "a", "lazy dog " * 12, "How?", "the fox and the dog", "brown"]
TOKENS = 14


@pytest.fixture
def asked(tiny_model, monkeypatch):
    """A model and a batch of prompts of many lengths, read two at a time."""
    model, processor = (kind.from_pretrained(tiny_model) for kind in (InserterForConditionalGeneration, InserterProcessor))
    monkeypatch.setattr(decoding, "PROMPTS_AT_ONCE", 2)
    return model.eval(), dict(processor([processor.chat([text]) for text in TEXTS])), processor.tokenizer.pad_token_id


def generated(asked, **how):
    model, inputs, pad = asked
    torch.manual_seed(0)
    with torch.no_grad():
        ids = model.generate(**inputs, max_new_tokens=TOKENS, pad_token_id=pad, **how)
    return [[token for token in row if token != pad] for row in ids.tolist()]


def test_greedy_answers_are_those_of_transformers(asked):
    assert generated(asked, do_sample=False, custom_generate=decode) == generated(asked, do_sample=False)


def test_rows_that_end_at_other_times_are_cut_there_and_change_no_other(asked):
    """Tokens of the plain answers are taken as ends, so that some rows end soon, one after the other, and some never."""
    plain = generated(asked, do_sample=False)
    ends = [plain[row][step] for row, step in ((3, 0), (1, 2), (2, 3))]
    how = {"do_sample": False, "eos_token_id": ends}
    theirs, ours = generated(asked, **how), generated(asked, **how, custom_generate=decode)
    assert ours == theirs
    assert len({len(row) for row in ours}) > 2 and min(map(len, ours)) == 1


def test_what_is_drawn_is_drawn_again_with_the_same_seed(asked):
    how = {"do_sample": True, "temperature": 2.0, "custom_generate": decode}
    assert generated(asked, **how) == generated(asked, **how)


def test_scores_that_depend_on_what_was_said_are_left_to_transformers(asked):
    how = {"do_sample": False, "repetition_penalty": 5.0}
    assert generated(asked, **how, custom_generate=decode) == generated(asked, **how)


def test_an_lm_whose_cache_forgets_is_decoded_by_transformers(asked):
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 32}
    assert keeps_all(LlamaConfig(**sizes, num_key_value_heads=1))
    windowed = MistralConfig(**sizes, num_key_value_heads=1, sliding_window=8)
    assert not keeps_all(windowed)
    lm = AutoModelForCausalLM.from_config(windowed).eval()
    given = {"inputs_embeds": torch.randn(2, 12, 16), "attention_mask": torch.ones(2, 12, dtype=torch.long)}
    how = {"do_sample": False, "max_new_tokens": 6, "pad_token_id": 0}
    assert torch.equal(lm.generate(**given, **how, custom_generate=decode), lm.generate(**given, **how))
