"""For each of the 25 types in each language: an answer by hand that does what the prompt asks passes, another does not."""

import pytest

from inserter.prompts import INSTRUCTION_TYPES, Lang, Prompt, generate
from inserter.scoring.ifeval import check

TEXT = {
    "en": "The river carried the small boats far away and the people on the bank watched them until the evening came.",
    "cn": "小船漂到很远的地方去了，岸上的人一直看到天黑。",
}
FIRST = {"en": "Here ", "cn": "这里"}
FOREIGN = {
    "en": TEXT["en"],
    "fr": "La rivière emportait les petits bateaux au loin et les gens la regardaient depuis la rive.",
    "de": "Der Fluss trug die kleinen Boote weit fort, und die Leute am Ufer sahen ihnen bis zum Abend nach.",
    "es": "El río se llevaba los pequeños barcos muy lejos y la gente los miraba desde la orilla hasta la noche.",
    "it": "Il fiume portava lontano le piccole barche e la gente sulla riva le guardava fino alla sera.",
    "pt": "O rio levava os pequenos barcos para longe e as pessoas na margem olhavam para eles até à noite.",
}


def counted(unit: str, kwargs: dict, count: str, relation: str) -> tuple[str, str]:
    """(as many units as wanted, as many as not) for "less than" and "at least"."""
    few, many = unit * (kwargs[count] - 1), unit * kwargs[count]
    return (few, many) if kwargs[relation] == "less than" else (many, few)


def around(texts: tuple[str, str], text: str) -> tuple[str, str]:
    return f"{text}{texts[0]}", f"{text}{texts[1]}"


def answers(kind: str, kwargs: dict, lang: Lang) -> tuple[str, str]:
    """(an answer that does what is asked, one that does not)."""
    text, first = TEXT[lang], FIRST[lang]
    gap = " " if lang == "en" else ""
    match kind.split(":")[1]:
        case "existence":
            return f"{text}{gap}{gap.join(kwargs['keywords'])}", f"{text}{gap}{kwargs['keywords'][0]}"
        case "frequency":
            return around(counted(f" {kwargs['keyword']}", kwargs, "frequency", "relation"), text)
        case "forbidden_words":
            return text, f"{text}{gap}{kwargs['forbidden_words'][-1]}"
        case "letter_frequency":
            return counted(f"{kwargs['letter']} ", kwargs, "let_frequency", "let_relation")
        case "response_language":
            return FOREIGN[kwargs["language"]], TEXT["cn" if kwargs["language"] == "en" else lang]
        case "number_sentences":
            good, bad = counted("We went home. " if lang == "en" else "我们回家了。", kwargs, "num_sentences", "relation")
            return good, bad
        case "number_words":
            return counted("home " if lang == "en" else "家", kwargs, "num_words", "relation")
        case "number_paragraphs":
            pieces = [text] * kwargs["num_paragraphs"]
            return "\n***\n".join(pieces), "\n\n".join(pieces)
        case "nth_paragraph_first_word":
            pieces = [first + text] * kwargs["num_paragraphs"]
            pieces[kwargs["nth_paragraph"] - 1] = kwargs["first_word"] + gap + text
            return "\n\n".join(pieces), "\n\n".join([first + text] * kwargs["num_paragraphs"])
        case "number_placeholders":
            return text + " [name]" * kwargs["num_placeholders"], text + " [name]" * (kwargs["num_placeholders"] - 1)
        case "postscript":
            return f"{text}\n\n{kwargs['postscript_marker']}{gap or '：'}{text}", text
        case "number_bullet_lists":
            return f"* {text}\n" * kwargs["num_bullets"], f"* {text}\n" * (kwargs["num_bullets"] + 1)
        case "constrained_response":
            return ("My answer is maybe." if lang == "en" else "我的答案是可能。"), text
        case "number_highlighted_sections":
            return f"*{first}* " * kwargs["num_highlights"] + text, text
        case "multiple_sections":
            pieces = [f"{kwargs['section_spliter']} {n}\n{text}\n" for n in range(1, kwargs["num_sections"] + 1)]
            return "".join(pieces), "".join(pieces[1:])
        case "json_format":
            return f'{{"answer": "{text}"}}', f"Here you are: {text}"
        case "title":
            return (f"<<The river>>\n{text}" if lang == "en" else f"《大河》\n{text}"), text
        case "two_responses":
            return f"{text}\n******\n{first}{text}", f"{text}\n******\n{text}"
        case "repeat_prompt":
            return f"{kwargs['prompt_to_repeat']}。{text}", text
        case "end_checker":
            return f"{text}{gap}{kwargs['end_phrase']}", f"{kwargs['end_phrase']}{gap}{text}"
        case "capital_word_frequency":
            return counted(" NASA", kwargs, "capital_frequency", "capital_relation")
        case "english_capital":
            return TEXT["en"].upper(), text
        case "english_lowercase":
            return TEXT["en"].lower(), text
        case "no_comma":
            return text.replace("，", "。"), f"{text}，{text}" if lang == "cn" else f"{text}, {text}"
        case _:
            return f'"{text}"', text


EVERY = [
    pytest.param(prompt, id=f"{lang}-{prompt.key}")
    for lang in ("en", "cn")
    for prompt in generate("benchmark", 1, per_type=4, lang=lang)
]


@pytest.mark.parametrize("prompt", EVERY)
def test_an_answer_that_does_what_is_asked_passes_and_another_fails(prompt: Prompt):
    kind, kwargs = prompt.instruction_id_list[0], prompt.kwargs[0]
    good, bad = answers(kind, kwargs, prompt.lang)
    assert check(kind, good, kwargs), (prompt.prompt, good)
    assert not check(kind, bad, kwargs), (prompt.prompt, bad)


def test_every_type_is_answered_in_both_languages():
    asked = {(case.values[0].lang, case.values[0].instruction_id_list[0]) for case in EVERY}
    assert asked == {(lang, kind) for lang in ("en", "cn") for kind in INSTRUCTION_TYPES}
