"""A prompt of speech and text that has no room in the LM is refused alone; one that fills it to the last position is answered."""

import numpy as np
import pytest

from inserter.errors import refused as one_line
from models import InserterForConditionalGeneration, InserterProcessor
from models.generation import Prompt, generate_answers
from models.room import TooLong, room

WAVE = (0.1 * np.random.default_rng(0).standard_normal(16_000 * 3)).astype(np.float32)
NEW = 6


@pytest.fixture(scope="module")
def parts(tiny_lm, tiny_encoder):
    """The pooling adapter makes a position of 8 encoder frames, so that the positions of a clip are known."""
    processor = InserterProcessor.from_parts(str(tiny_lm), str(tiny_encoder))
    model = InserterForConditionalGeneration.from_parts(
        str(tiny_lm),
        str(tiny_encoder),
        processor.tokens,
        adapter="pooling",
        adapter_stride=8,
        audio_token_id=processor.audio_token_id,
        document_start_id=processor.document_start_id,
    )
    return model.eval(), processor


def positions(parts, prompt: Prompt) -> int:
    model, processor = parts
    inputs = processor(processor.chat([None, *([prompt.text] if prompt.text else [])]), [prompt.audio])
    return model._inputs(inputs["input_ids"], None, model._speech(dict(inputs), inputs["input_ids"], None), side="left")[1].shape[1]


@pytest.fixture
def at_most(parts, monkeypatch):
    """Sets how many positions the LM has."""
    return lambda number: monkeypatch.setattr(parts[0].config.text_config, "max_position_embeddings", number)


def test_the_last_position_is_used_and_one_more_is_refused(parts, at_most):
    prompt = Prompt("Say it.", WAVE)
    needed = positions(parts, prompt) + NEW
    at_most(needed)
    assert room(parts[0].config) == needed and generate_answers(*parts, [prompt], max_new_tokens=NEW)[0]
    at_most(needed - 1)
    told = f"3.0 s of sound and 'Say it.': the prompt has {needed - NEW} positions of speech and text, and 6 tokens "
    with pytest.raises(TooLong, match=f"^{told}may be answered; the model has room for {needed - 1} together$") as caught:
        generate_answers(*parts, [prompt], max_new_tokens=NEW)
    assert "together. Give less sound or text, lower max_new_tokens, or use" in str(one_line(caught.value))


def test_what_is_too_long_is_refused_alone(parts, at_most):
    prompts = [Prompt("a"), Prompt(audio=WAVE), Prompt("b"), Prompt("never " * 200), Prompt("c")]
    short = [0, 2, 4]
    at_most(max(positions(parts, Prompt(audio=WAVE)), 40) - 1)
    alone = {i: generate_answers(*parts, [prompts[i]], max_new_tokens=NEW)[0] for i in short}
    refused: dict[int, str] = {}
    answers = generate_answers(*parts, prompts, max_new_tokens=NEW, batch_size=2, refused=refused)
    assert sorted(refused) == [1, 3] and [answers[i] for i in (1, 3)] == ["", ""]
    assert {i: answers[i] for i in short} == alone and all("the model has room for" in why for why in refused.values())
