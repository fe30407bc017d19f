"""The decoding loop gives what transformers' own loop gives, whatever ends when."""

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig

from models import InserterForConditionalGeneration, InserterProcessor, decoding
from models.decoding import decode, starts_rows_at_0

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
    return [[token for token in row if token != pad] for row in ids[:, inputs["input_ids"].shape[1] :].tolist()]


def test_greedy_answers_are_those_of_transformers(asked):
    assert generated(asked, do_sample=False) == generated(asked, do_sample=False, custom_generate=None)


def test_rows_that_end_at_other_times_are_cut_there_and_change_no_other(asked):
    """Tokens of the plain answers are taken as ends, so that some rows end soon, one after the other, and some never."""
    plain = generated(asked, do_sample=False, custom_generate=None)
    ends = [plain[row][step] for row, step in ((3, 0), (1, 2), (2, 3))]
    how = {"do_sample": False, "eos_token_id": ends}
    theirs, ours = generated(asked, **how, custom_generate=None), generated(asked, **how)
    assert ours == theirs
    assert len({len(row) for row in ours}) > 2 and min(map(len, ours)) == 1


def test_what_is_drawn_is_drawn_again_with_the_same_seed(asked):
    how = {"do_sample": True, "temperature": 2.0}
    assert generated(asked, **how) == generated(asked, **how)


def test_scores_that_depend_on_what_was_said_are_left_to_transformers(asked):
    how = {"do_sample": False, "repetition_penalty": 5.0}
    assert generated(asked, **how) == generated(asked, **how, custom_generate=None)


def test_an_lm_whose_cache_forgets_is_decoded_by_transformers(asked):
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 32}
    assert starts_rows_at_0(AutoModelForCausalLM.from_config(LlamaConfig(**sizes, num_key_value_heads=1)))
    lm = AutoModelForCausalLM.from_config(MistralConfig(**sizes, num_key_value_heads=1, sliding_window=8)).eval()
    assert not starts_rows_at_0(lm)
    given = {"inputs_embeds": torch.randn(2, 12, 16), "attention_mask": torch.ones(2, 12, dtype=torch.long)}
    how = {"do_sample": False, "max_new_tokens": 6, "pad_token_id": 0}
    assert torch.equal(lm.generate(**given, **how, custom_generate=decode), lm.generate(**given, **how))


def products_depend_on_rows(width: int) -> bool:
    """Whether this CPU adds up a row in another order when other rows are multiplied with it."""
    torch.manual_seed(0)
    rows, weight = (torch.randn(n, width, dtype=torch.bfloat16) for n in (64, 3 * width))
    together = torch.nn.functional.linear(rows, weight)
    return any(not torch.equal(torch.nn.functional.linear(rows[:n], weight), together[:n]) for n in range(2, 64))


def test_in_bf16_an_answer_is_the_same_alone_and_in_any_company():
    sizes = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4, "vocab_size": 8192}
    # Where a CPU's products in bf16 depend on the number of rows, no loop can help: there the promise is fp32's.
    dtype = torch.float32 if any(map(products_depend_on_rows, (64, 256))) else torch.bfloat16
    torch.manual_seed(0)
    config = LlamaConfig(**sizes, num_key_value_heads=2, attn_implementation="sdpa", initializer_range=0.1)
    lm = AutoModelForCausalLM.from_config(config).eval().to(dtype)
    prompts = [torch.randn(n, 64, dtype=dtype) for n in (7, 61, 3, 44, 19, 38, 12, 25)]

    def answers(some):
        longest = max(len(prompts[row]) for row in some)
        padded = torch.stack([torch.nn.functional.pad(prompts[row], (0, 0, longest - len(prompts[row]), 0)) for row in some])
        mask = torch.tensor([[0] * (longest - len(prompts[row])) + [1] * len(prompts[row]) for row in some])
        how = {"do_sample": False, "max_new_tokens": 40, "pad_token_id": 0, "eos_token_id": list(range(1, 60))}
        return dict(
            zip(some, lm.generate(inputs_embeds=padded, attention_mask=mask, custom_generate=decode, **how).tolist(), strict=True)
        )

    def said(row):
        return [token for token in row if token]

    together = answers(range(8))
    assert len({len(said(row)) for row in together.values()}) > 1, "rows end at different times"
    for some in ([0], [3], [5, 1], [6, 3, 0, 2], [7, 6, 5, 4, 3]):
        for row, answer in answers(some).items():
            assert said(answer) == said(together[row])
