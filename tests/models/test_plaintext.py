"""Text from outside is text, whatever it spells and whatever LM's tokenizer it meets."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lm_tokenizers import LMS, control_of, lm_tokenizer
from tokenizers import AddedToken

from models.configuration import AUDIO, SPEECH_TOKENS
from models.plaintext import PlainText

CONTROL = sorted({token.content for name in LMS for token in lm_tokenizer(name).added_tokens_decoder.values()})
ALIKE = ["＜｜audio｜＞", "＜tool＞", "<|im\u200b_end|>", "<|IM_END|>", "▁", "user\n"]
ALIKE += ["<|", "|>", "[", "]", "<s", "/s>", "INST]", "<tool"]
WORDS = ["turn", "the", "of", "-", "3", "é", "中文", "Start"]
texts = st.lists(st.sampled_from([*CONTROL, *ALIKE, *WORDS, " ", "  ", "\n", ""]), max_size=8).map("".join)


@cache
def made(name):
    return lm_tokenizer(name), PlainText(lm_tokenizer(name))


def read_back(name, text):
    """What a tokenizer can say again of a text: that of `bert` has one form for like letters and none for blanks."""
    if name == "bert":
        return "".join(made(name)[0].backend_tokenizer.normalizer.normalize_str(text).split())
    return text.replace("▁", " ") if name in ("gemma", "mistral") else text  # their sign for a blank


@pytest.mark.parametrize("name", LMS)
@settings(max_examples=150, deadline=None)
@given(text=texts)
def test_no_text_has_a_control_token_and_every_text_is_read_back(name, text):
    tokenizer, plain = made(name)
    ids = plain.encode(text)
    unknown = {tokenizer.unk_token_id} if name == "bert" else set()  # a letter that it lacks
    assert not set(ids) & control_of(tokenizer) - unknown
    if not set(ids) & unknown:
        said = tokenizer.decode(ids, skip_special_tokens=True)
        wanted = read_back(name, text)
        assert ("".join(said.split()) if name == "bert" else said.lstrip()) == (wanted if name == "bert" else wanted.lstrip())


@pytest.mark.parametrize("name", LMS)
@settings(max_examples=60, deadline=None)
@given(first=texts, last=texts)
def test_a_chat_has_the_control_tokens_of_its_template_and_of_its_clips(name, first, last):
    tokenizer, plain = made(name)
    control = control_of(tokenizer) - ({tokenizer.unk_token_id} if name == "bert" else set())

    def structure(first, last):
        turns = [
            {"role": "user", "content": [first, None]},
            {"role": "assistant", "content": ["yes"]},
            {"role": "user", "content": [last]},
        ]
        return [number for number in plain.chat(turns, add_generation_prompt=True) if number in control]

    expected = structure("a", "b")
    assert structure(first, last) == expected
    assert expected.count(tokenizer.convert_tokens_to_ids(AUDIO)) == 1 and len(expected) > 3


@pytest.mark.parametrize("name", LMS)
@pytest.mark.parametrize(
    "text", ["the turn", " a blank before", "and after \n", "\n\n3 lines\n\nof it\n", "one    two", "x", " ", "", "A (b), <c> [d]?"]
)
def test_text_without_a_control_token_has_the_ids_that_the_tokenizer_gives_it(name, text):
    tokenizer, plain = made(name)
    assert plain.encode(text) == tokenizer(text, add_special_tokens=False)["input_ids"]
    for parts in ([text], [text, None, text], [None, text]):
        whole = "".join("".join(SPEECH_TOKENS) if part is None else part for part in parts)
        turns = [{"role": "user", "content": whole}, {"role": "assistant", "content": text}]
        rendered = tokenizer.apply_chat_template(turns, tokenize=False)
        ours = [{"role": "user", "content": parts}, {"role": "assistant", "content": [text]}]
        assert plain.chat(ours) == tokenizer(rendered, add_special_tokens=False)["input_ids"], parts
        assert plain.render(ours) == rendered


def test_what_the_libraries_offer_is_not_enough():
    """If this test fails, the libraries have corrected the problem, and the twin may go."""
    for name, text in (("qwen", "<think>"), ("gemma", "</s>"), ("llama3", "<|eot_id|>"), ("bert", "＜tool＞")):
        tokenizer, plain = made(name)
        split = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert set(split) & control_of(tokenizer), name
        assert not set(plain.encode(text)) & control_of(tokenizer), name


def test_runs_of_blanks_that_an_lm_has_tokens_for_stay_these_tokens():
    tokenizer, plain = made("qwen")
    assert tokenizer.convert_tokens_to_ids(" " * 4) in plain.encode("if x:\n    <think>")


@pytest.mark.parametrize("lost", ["| upper", "| lower", "| tojson", "| e", "[:5]", "and 'something else'"])
def test_a_template_that_changes_or_loses_a_text_is_refused(lost):
    tokenizer = lm_tokenizer("gpt2")
    tokenizer.chat_template = "{% for m in messages %}<|im_start|>{{ m.content " + lost + " }}<|im_end|>{% endfor %}"
    with pytest.raises(ValueError, match="loses or changes the text 'Where is the pier"):
        PlainText(tokenizer).chat([{"role": "user", "content": ["Where is the pier?"]}])


def test_a_template_may_say_a_text_twice():
    tokenizer = lm_tokenizer("gpt2")
    tokenizer.chat_template = "{% for m in messages %}<|im_start|>{{ m.content }}\n{{ m.content | trim }}<|im_end|>{% endfor %}"
    ids = PlainText(tokenizer).chat([{"role": "user", "content": [" <|im_end|> "]}])
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert tokenizer.decode(ids) == "<|im_start|> <|im_end|> \n<|im_end|><|im_end|>" and ids.count(end) == 1


def test_a_text_that_spells_our_own_placeholder_is_text():
    tokenizer, plain = made("gpt2")
    text = 'hOle<1>&" and hOle<0>&"'
    ids = plain.chat([{"role": "user", "content": [text, "second"]}])
    assert tokenizer.decode(ids) == f"<|im_start|>user\n{text}second<|im_end|>\n"


def test_a_role_is_a_word():
    _, plain = made("gpt2")
    with pytest.raises(ValueError, match="role"):
        plain.chat([{"role": "user<|im_end|>", "content": ["x"]}])


def test_half_a_surrogate_pair_is_a_question_mark():
    tokenizer, plain = made("gpt2")
    assert tokenizer.decode(plain.encode("a \ud83d b")) == "a ? b"


def test_a_token_that_swallows_blanks_or_wants_to_stand_alone_takes_nothing_of_a_text():
    tokenizer = lm_tokenizer("gpt2")
    tokenizer.add_tokens([AddedToken("<pier>", special=False, lstrip=True, rstrip=True, single_word=True)])
    plain = PlainText(tokenizer)
    for text in ("to the <pier> and back", "<pier><pier>", "a<pier>b"):
        ids = plain.encode(text)
        assert tokenizer.decode(ids) == text and not set(ids) & control_of(tokenizer)


def test_a_tokenizer_of_another_kind_is_refused():
    class Letters:
        backend_tokenizer = None

    with pytest.raises(ValueError, match=r"Letters is a tokenizer without a tokenizer\.json"):
        PlainText(Letters())
