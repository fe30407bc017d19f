"""Prompts: the benchmark stays unseen, every argument is the scorer's, and everything asked for can be heard.

If the two worlds shared topics or wordings, SFT would train on the benchmark and its score would mean nothing.
"""

import json
import re
from collections import Counter

import pytest
from num2words import num2words

from inserter.errors import InserterError
from inserter.prompts import INSTRUCTION_TYPES, PAIRED, generate, generate_adjustment, generate_open, overlap
from inserter.prompts.constraints import partners
from inserter.prompts.languages import LANGUAGES, han_count, han_number
from inserter.prompts.worlds import phrases
from inserter.scoring.ifeval import CHECKS

TRAIN = generate("train", 1, count=2000)
BENCHMARK = generate("benchmark", 1, per_type=12)
CHINESE = generate("benchmark", 1, per_type=12, lang="cn")
TONGUES = LANGUAGES["en"].tongues
EVERY = [pytest.param(prompts, id=world) for world, prompts in (("train", TRAIN), ("benchmark", BENCHMARK))]


def test_the_25_types_are_the_scorers():
    assert set(INSTRUCTION_TYPES) == set(CHECKS)
    assert len(INSTRUCTION_TYPES) == 25


def test_worlds_share_no_topic_request_or_wording():
    train, held = phrases("train"), phrases("benchmark")
    assert len(train.topics) >= 60
    assert len(held.topics) >= 60
    for world, least in ((train, 3), (held, 4)):
        assert set(world.wordings) == set(INSTRUCTION_TYPES)
        assert all(len(set(said)) >= least for said in world.wordings.values())
        assert all(len(set(topic.words)) == 4 for topic in world.topics)
        # a forbidden word may not stand in the topic, not even inside a word of it: that is what the answer is about
        assert [(topic.about, word) for topic in world.topics for word in topic.words if word in topic.about] == []
    for name in ("requests", "end_phrases", "first_words", "splitters"):
        assert not set(getattr(train, name)) & set(getattr(held, name)), name
    for kind in INSTRUCTION_TYPES:
        assert not set(train.wordings[kind]) & set(held.wordings[kind]), kind
    assert not {topic.about.lower() for topic in train.topics} & {topic.about.lower() for topic in held.topics}
    assert not {topic.question for topic in train.topics} & {topic.question for topic in held.topics}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_run_of_eight_words_is_in_both_worlds(seed):
    train = [prompt.prompt for prompt in generate("train", seed, count=2000)]
    closed = generate("benchmark", seed, per_type=40)
    held = [prompt.prompt for prompt in [*closed, *generate_open(seed, 300), *generate_adjustment(seed, 300)]]
    assert overlap(train, held) == []


def test_overlap_finds_copies_whatever_their_case_and_marks():
    held = ["Write about the sea, in fewer than forty words please and thank you.", "Say hello."]
    copied = ["WRITE about the sea in fewer than forty words!", "say hello"]
    assert overlap([*copied, "Write about the sea in fewer than fifty words."], held) == copied


@pytest.mark.parametrize("prompts", EVERY)
def test_arguments_are_exactly_what_the_scorer_reads(prompts):
    for prompt in prompts:
        assert len(prompt.kwargs) == len(prompt.instruction_id_list)
        for kind, kwargs in zip(prompt.instruction_id_list, prompt.kwargs, strict=True):
            CHECKS[kind].read(kwargs, "reference")  # refuses what is missing, empty, or of another type's
            assert set(kwargs) == set(CHECKS[kind].arguments)


@pytest.mark.parametrize("prompts", EVERY)
def test_every_argument_is_said(prompts):
    """What the checker compares with must be in the prompt, or nobody could follow it."""
    for prompt in prompts:
        heard = prompt.prompt.lower()
        for kwargs in prompt.kwargs:
            for name, value in kwargs.items():
                if name.endswith("relation"):
                    continue
                said = TONGUES[value] if name == "language" else num2words(value) if isinstance(value, int) else value
                for one in said if isinstance(said, list) else [said]:
                    assert re.search(rf"(?<!\w){re.escape(one.lower())}", heard), (name, value, prompt.prompt)


@pytest.mark.parametrize("prompts", EVERY)
def test_prompts_have_nothing_that_cannot_be_heard(prompts):
    for prompt in prompts:
        assert re.fullmatch(r"[A-Za-z0-9 .,?'-]+", prompt.prompt), prompt.prompt
        assert "  " not in prompt.prompt


@pytest.mark.parametrize("prompts", EVERY)
def test_prompts_differ_and_two_constraints_are_compatible(prompts):
    assert len({prompt.prompt for prompt in prompts}) == len(prompts)
    assert len({prompt.key for prompt in prompts}) == len(prompts)
    pairs = [prompt.instruction_id_list for prompt in prompts if len(prompt.instruction_id_list) > 1]
    assert pairs
    assert all(len(pair) == 2 and pair[1] in partners(pair[0]) and pair[0] in partners(pair[1]) for pair in pairs)
    assert len(pairs) < 1.2 * PAIRED * len(prompts)


def test_a_pair_never_asks_for_and_forbids_the_same_word():
    for prompt in TRAIN:
        asked = {word for kwargs in prompt.kwargs for word in kwargs.get("keywords", [])}
        forbidden = {word for kwargs in prompt.kwargs for word in kwargs.get("forbidden_words", [])}
        assert not asked & forbidden


def test_per_type_gives_as_many_of_each_and_count_follows_the_weights():
    assert set(Counter(prompt.instruction_id_list[0] for prompt in BENCHMARK).values()) == {12}
    seen = Counter(prompt.instruction_id_list[0] for prompt in TRAIN)
    assert set(seen) == set(INSTRUCTION_TYPES)
    assert seen["punctuation:no_comma"] > seen["combination:two_responses"]


def test_same_seed_same_prompts_and_a_longer_list_begins_with_the_shorter():
    assert generate("train", 1, count=50) == TRAIN[:50]
    assert generate("train", 2, count=50) != TRAIN[:50]
    shorter = {prompt.key: prompt for prompt in generate("benchmark", 1, per_type=2)}
    assert shorter == {prompt.key: prompt for prompt in BENCHMARK if prompt.key in shorter}


def test_a_record_has_the_benchmarks_fields_and_survives_json():
    record = BENCHMARK[0].record()
    assert list(record) == ["key", "task", "lang", "prompt", "instruction_id_list", "kwargs"]
    assert json.loads(json.dumps(record)) == record


def test_more_prompts_than_a_world_has_is_refused_with_a_remedy():
    with pytest.raises(InserterError, match=r"no further prompt of type \w+:\w+ after \d+\. Ask for fewer prompts"):
        generate("benchmark", 1, per_type=2000)


def test_chinese_wordings_name_every_argument_as_it_is_heard():
    for prompt in CHINESE:
        assert re.fullmatch(r"[A-Z.a-z\u4e00-\u9fff，。？、]+", prompt.prompt), prompt.prompt
        for kwargs in prompt.kwargs:
            for name, value in kwargs.items():
                if name in ("relation", "let_relation", "capital_relation"):
                    continue
                said = (LANGUAGES["cn"].tongues[value],) if name == "language" else value
                said = (han_count(value), han_number(value)) if isinstance(value, int) else said
                if isinstance(value, int):
                    assert any(number in prompt.prompt for number in said), (name, value, prompt.prompt)
                else:
                    assert all(one.lower() in prompt.prompt.lower() for one in ([said] if isinstance(said, str) else said))


def test_chinese_prompts_differ_and_their_world_is_whole():
    held = phrases("benchmark", "cn")
    assert set(held.wordings) == set(INSTRUCTION_TYPES)
    assert all(len(set(said)) >= 4 for said in held.wordings.values())
    assert [(topic.about, word) for topic in held.topics for word in topic.words if word in topic.about] == []
    assert all(len(set(topic.words)) == 4 for topic in held.topics)
    assert len({prompt.prompt for prompt in CHINESE}) == len(CHINESE) == 12 * 25


@pytest.mark.parametrize("mode", ["robust", "reference"])
@pytest.mark.parametrize("prompts", [*EVERY, pytest.param(CHINESE, id="chinese")])
def test_every_argument_is_one_that_the_scorer_can_read(prompts, mode):
    for prompt in prompts:
        for kind, kwargs in zip(prompt.instruction_id_list, prompt.kwargs, strict=True):
            CHECKS[kind].read(kwargs, mode)  # raises Unscorable


READ = {2: "二", 10: "十", 12: "十二", 20: "二十", 60: "六十", 100: "一百", 105: "一百零五", 112: "一百一十二", 120: "一百二十"}


@pytest.mark.parametrize(("number", "read"), READ.items())
def test_chinese_numbers_are_written_as_they_are_read(number, read):
    assert han_number(number) == read
    assert han_count(number) == ("两" if number == 2 else read)


@pytest.mark.parametrize("lang", ["en", "cn"])
def test_open_prompts_have_two_to_five_questions_that_follow_from_them(lang):
    prompts = generate_open(1, 300, lang)
    assert prompts[:100] == generate_open(1, 100, lang) != generate_open(2, 100, lang)
    assert len({prompt.prompt for prompt in prompts}) == len({prompt.key for prompt in prompts}) == 300
    assert {len(prompt.questions) for prompt in prompts} == {2, 3, 4, 5}
    gap = LANGUAGES[lang].gap
    for prompt in prompts:
        assert prompt.topic in prompt.prompt and prompt.topic in prompt.questions[0]
        assert all(question[-1] in "?？" for question in prompt.questions)
        assert len(set(prompt.questions)) == len(prompt.questions)
        assert prompt.task == "open" and prompt.lang == lang and not prompt.instruction_id_list
        said = re.split(r"(?<=[.?])\s+" if gap else r"(?<=[。？])", prompt.prompt)
        assert len([one for one in said if one]) == len(prompt.questions) - 1  # a question a sentence, and one for the topic


@pytest.mark.parametrize("lang", ["en", "cn"])
def test_adjustments_say_both_what_was_begun_and_what_is_meant(lang):
    prompts = generate_adjustment(1, 300, lang)
    assert prompts[:100] == generate_adjustment(1, 100, lang)
    assert len({prompt.prompt for prompt in prompts}) == 300
    counts = Counter(prompt.notes["kind"] for prompt in prompts)
    assert set(counts) == {"format", "length", "topic", "audience", "language", "tone"} and set(counts.values()) == {50}
    for prompt in prompts:
        before, after = prompt.notes["before"], prompt.notes["after"]
        start = next(i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
        assert before != after and prompt.prompt.startswith(before[:start])
        assert prompt.prompt not in (before, after) and not re.search(r"[,，][,，.。?？]|  |[{}]", prompt.prompt), prompt.prompt
    shapes = {prompt.prompt.startswith(prompt.notes["before"]) for prompt in prompts}
    assert shapes == {True, False}  # taken back after the sentence, and within it


def test_overlap_finds_chinese_copies_by_characters():
    held = ["请简单介绍一下丝绸之路。字数要少于五十个字。"]
    copied = "那么，请简单介绍一下丝绸之路吧！"
    assert overlap([copied, "请介绍一下活字印刷。"], held) == [copied]
    assert overlap([prompt.prompt for prompt in TRAIN], [prompt.prompt for prompt in CHINESE]) == []
