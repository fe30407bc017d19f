"""Answers edited until they follow their instructions: every type that code can correct, alone and with a second type."""

import pytest

from inserter.prompts import INSTRUCTION_TYPES, Prompt, generate
from inserter.scoring.ifeval import verdicts
from stages.sft.rewrite import EDITS, rewritten

ANSWER = """I'm sorry for any confusion. Here is what I know:

1. **Bees** live together, and they share their work.
2. A worker, which is always female, flies up to three miles for food.
- In winter the bees stay close to each other; they shiver to keep warm.
Their honey keeps for many years. Their honey keeps for many years.
It is made of nectar from flowers in the garden."""
PROMPTS = generate("train", 5, per_type=12)


def follows(prompt: Prompt, answer: str | None) -> bool:
    return answer is not None and all(verdicts(prompt.instruction_id_list, prompt.kwargs, answer)[0])


@pytest.mark.parametrize("kind", [kind for kind in INSTRUCTION_TYPES if kind in EDITS])
def test_an_ordinary_answer_can_be_made_to_follow(kind: str) -> None:
    """Length alone cannot be made up: of what asks for more than there is some must fail."""
    mine = [prompt for prompt in PROMPTS if prompt.instruction_id_list[0] == kind]
    mended = [prompt for prompt in mine if follows(prompt, rewritten(prompt, ANSWER))]
    assert len(mended) >= len(mine) * 3 // 4
    assert any(len(prompt.instruction_id_list) == 1 for prompt in mended)


def test_what_no_edit_reaches_is_left() -> None:
    language = next(prompt for prompt in PROMPTS if prompt.instruction_id_list == ("language:response_language",))
    assert rewritten(language, ANSWER) is None
    assert {kind for kind in INSTRUCTION_TYPES if kind not in EDITS} == {"language:response_language"}


def test_lists_apologies_and_repetitions_go_and_the_rest_stays() -> None:
    prompt = Prompt("p", "…", ("startend:quotation",), ({},), "bees")
    assert rewritten(prompt, ANSWER) == (
        '"Here is what I know: Bees live together, and they share their work. '
        'A worker, which is always female, flies up to three miles for food."'
    )
    assert rewritten(prompt, "I'm sorry, I cannot do that.") == '"I\'m sorry, I cannot do that."', "better than nothing"
    assert rewritten(prompt, '{"a": [1, 2]}') == '"This is about bees."'


def test_two_instructions_are_followed_together() -> None:
    kinds = ("change_case:english_capital", "startend:end_checker")
    prompt = Prompt("p", "…", kinds, ({}, {"end_phrase": "That is all for now."}), "bees")
    answer = rewritten(prompt, ANSWER)
    assert follows(prompt, answer) and answer is not None and answer.endswith("THAT IS ALL FOR NOW.")
