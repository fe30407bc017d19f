"""Small inputs of the report, as the evaluate stage writes them: real verdicts and scores of made-up answers."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from inserter.audio.clips import SAMPLE_RATE, flac, write_shard
from inserter.files import write_json, write_jsonl, write_table
from inserter.scoring import adjustment, open_ended
from inserter.scoring.closed import score_record
from inserter.scoring.scores import closed_table, comparisons
from inserter.seeds import np_rng
from inserter.tables import ITEMS
from stages.evaluate.judged import judged_table

Row = dict[str, Any]
VARIANTS: dict[str, Row] = {
    "standard": {},
    "background": {"snr_db": 5.0, "noise": "babble"},
    "accent": {"accent": "british", "engine": "espeak-ng"},
    "paralinguistics": {"rate": 1.2},
    "disfluency": {"disfluencies": ["filler", "repetition"]},
}
GOOD = {
    "read": 0.75,
    "lm": 0.8,
    "cascade": 0.65,
    "asr_lm": 0.5,
    "standard": 0.6,
    "background": 0.35,
    "accent": 0.45,
}  # share that follows
COPIED = (
    "item_id",
    "key",
    "task",
    "lang",
    "variant",
    "prompt",
    "clean_prompt",
    "instruction_id_list",
    "questions",
)
HOSTILE = "</script><script>alert('in')</script> \"quoted\" & <img src=x onerror=alert(1)> <!-- \u2028"

# key: prompt, instruction types, arguments, an answer that follows and one that does not
CLOSED: dict[str, tuple[str, list[str], list[Row], str, str]] = {
    "tea": (
        "Compose a short note on green tea for a friend with a heading in double angle brackets. Use no commas at all.",
        ["detectable_format:title", "punctuation:no_comma"],
        [{}, {}],
        "<<A Cup of Calm>>\nGreen tea wakes you gently. Steep it for two minutes in water that no longer boils.",
        "Green tea is light, fresh, and full of flavour. Steep it for two minutes, then enjoy it.",
    ),
    "harbor": (
        "Describe a small harbor at dawn in less than four sentences. Mention the words lantern and gull.",
        ["length_constraints:number_sentences", "keywords:existence"],
        [{"num_sentences": 4, "relation": "less than"}, {"keywords": ["lantern", "gull"]}],
        "A lantern still burns above the pier. A gull cries over the flat water.",
        "The harbor is quiet. Boats rock. The sun comes up slowly. Fishermen arrive. Nobody says a word.",
    ),
    "bread": (
        "List the steps of baking bread as exactly 3 bullet points.",
        ["detectable_format:number_bullet_lists"],
        [{"num_bullets": 3}],
        "* Mix flour, water, salt and yeast.\n* Let the dough rise for two hours.\n* Bake it until the crust is brown.",
        "1. Mix.\n2. Knead.\n3. Let it rise.\n4. Bake.",
    ),
    "rain": (
        "Write two sentences about rain, all in small letters, and finish with the words so it goes.",
        ["change_case:english_lowercase", "startend:end_checker"],
        [{}, {"end_phrase": "so it goes"}],
        "the rain has been falling since the morning and the streets are shining. people hurry home and so it goes",
        "Rain is water that falls from clouds. It is good for plants.",
    ),
    "json": (
        "Give me a city and its country as JSON.",
        ["detectable_format:json_format"],
        [{}],
        '{"city": "Lisbon", "country": "Portugal"}',
        "Lisbon is the capital of Portugal.",
    ),
    "quote": (
        "Put your whole answer in double quotation marks: what is courage?",
        ["startend:quotation"],
        [{}],
        '"Courage is being afraid and going on all the same."',
        "Courage is being afraid and going on all the same.",
    ),
}
OPEN = (
    "Plan a quiet Sunday for my grandmother, who likes gardens, and keep it cheap.",
    ["Does the plan fit a Sunday?", "Is there a garden in it?", "Is it cheap?"],
)
ADJUSTMENT = "Write about winter in five lines, no wait, make that spring, in three lines."


def items(copies: int = 1) -> list[Row]:
    """Rows of ITEMS without their clips: closed in five variants, Chinese closed (only read), open and adjustment."""
    found = []
    for copy in range(copies):
        for key, (prompt, kinds, kwargs, *_) in CLOSED.items():
            for variant, notes in VARIANTS.items():
                said = prompt.replace(" a ", " a, uh, a ", 1) if variant == "disfluency" else prompt
                found.append(_item(f"{key}-{copy:03d}", "closed", "en", variant, said, prompt, kinds, kwargs, [], notes))
        found.append(_item(f"open-{copy:03d}", "open", "en", "standard", OPEN[0], OPEN[0], [], [], OPEN[1], {}))
        found.append(_item(f"adjust-{copy:03d}", "adjustment", "en", "standard", ADJUSTMENT, ADJUSTMENT, [], [], [], {}))
    chinese = "请介绍一下绿茶，不要使用逗号。"
    found.append(_item("lucha", "closed", "cn", "standard", chinese, chinese, ["punctuation:no_comma"], [{}], [], {}))
    return found


def _item(
    key: str,
    task: str,
    lang: str,
    variant: str,
    prompt: str,
    clean: str,
    kinds: list,
    kwargs: list,
    questions: list,
    notes: Row,
) -> Row:
    return {
        "item_id": f"{task}-{variant}-{lang}-{key}",
        "key": key,
        "task": task,
        "lang": lang,
        "variant": variant,
        "prompt": prompt,
        "clean_prompt": clean,
        "instruction_id_list": kinds,
        "kwargs": json.dumps(kwargs),
        "questions": questions,
        "shard": None,
        "offset": 0,
        "size": 0,
        "duration": 0.0,
        "voice": "heart",
        "notes": json.dumps(notes),
    }


def responses(rows: list[Row], judged: bool = False) -> list[Row]:
    """A line an item and form, with the verdicts of the real checks."""
    found = []
    for item in rows:
        forms = ("heard", "read", "cascade", "lm", "asr_lm") if item["lang"] == "en" else ("read", "lm")
        for form in forms:
            row = {name: item[name] for name in COPIED}
            row |= {
                "id": f"{item['item_id']} {form}",
                "form": form,
                "kwargs": json.loads(item["kwargs"]),
                "judged": None,
            }
            row["transcript"] = (
                item["prompt"].replace("note", "node").rstrip(".") if form in ("heard", "cascade", "asr_lm") else None
            )
            row["response"] = _answer(item, form)
            verdict = score_record(row) if item["task"] == "closed" else {}
            row |= {name: verdict.get(name) for name in ("strict", "loose", "error")}
            row["judged"] = _verdict(row) if judged and item["task"] != "closed" else None
            found.append(row)
    return found


def _answer(item: Row, form: str) -> str:
    if item["lang"] == "cn":
        return "绿茶清香，常喝有益。" if form == "lm" else "绿茶是一种不发酵的茶。它的味道清香。"
    if item["task"] != "closed":
        spring = "Spring comes slowly.\nThe snow is gone.\nA crocus opens."
        return spring if item["task"] == "adjustment" else "Visit the free rose garden after lunch."
    *_, follows, fails = CLOSED[item["key"].rsplit("-", 1)[0]]
    good = GOOD.get(form) or GOOD.get(item["variant"], 0.5)
    return follows if np_rng(0, "answers", item["item_id"], form).random() < good else fails


def _verdict(row: Row) -> Row:
    """As `inserter score` gives it of a judged record: heard fails, the LM's adjustment has no usable reply."""
    if row["task"] == "open":
        replies = [repr(["YES", "NO" if row["form"] == "heard" else "YES", "YES"])]
        return open_ended.score_record({**row, "decomposed_questions": row["questions"], "pred_score": replies})
    follows, before = ("YES", "NO") if row["form"] == "read" else ("NO", "YES")
    fields = {"follow_after_adjust": follows, "follow_before_adjust": before, "after_adjust_content_correct": follows}
    replies = ["I cannot tell."] if row["form"] == "lm" else [json.dumps(fields)]
    return adjustment.score_record({**row, "pred_score": replies})


def scores(rows: list[Row]) -> Row:
    """reports/evaluate.json of `rows`."""
    closed = [row for row in rows if row["task"] == "closed"]
    tables = {"closed": closed_table(closed), **judged_table(rows)}
    return {
        "gap_closed": 0.41,
        "cascade": {"gap_closed": 0.58, "gap_closed_interval": [0.5, 0.66]},
        "heard_minus_cascade": {"difference": -0.17, "low": -0.23, "high": -0.11},
        "continuation": {},
        "speechinstructbench": tables,
        "comparisons": comparisons(closed),
    }


def write(
    root: Path, copies: int = 1, judged: bool = False, hostile: bool = False, spoken: bool = True, growing: float = 0.0
) -> tuple[Path, Path]:
    """(data, reports) below `root`: what the report stage reads. spoken: English items have audio.

    growing: seconds by which each clip is longer than the one before it.
    """
    data, reports = root / "data", root / "reports"
    rows = items(copies)
    lengths = {row["item_id"]: 1.2 + growing * number for number, row in enumerate(rows)}
    clips = ((row["item_id"], _clip(row, lengths[row["item_id"]])) for row in rows if spoken and row["lang"] == "en")
    index = write_shard(data / "benchmark" / "audio-00000.tar", clips)
    for row in rows:
        if place := index.get(row["item_id"]):
            row |= {"shard": "audio-00000.tar", "offset": place[0], "size": place[1], "duration": lengths[row["item_id"]]}
    write_table(data / "benchmark" / "items.parquet", rows, ITEMS)
    answers = responses(rows, judged)
    if hostile:
        for row in answers[:4]:
            row |= {"response": HOSTILE, "prompt": f"Say {HOSTILE}", "transcript": HOSTILE}
    write_jsonl(data / "evaluate" / "responses.jsonl", answers)
    write_json(reports / "evaluate.json", scores(answers))
    return data, reports


def _clip(row: Row, seconds: float) -> bytes:
    """A hum that rises and falls, with noise."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    hum = 0.2 * np.sin(2 * np.pi * 140 * time + 3 * np.sin(2 * np.pi * 3 * time)) * np.abs(np.sin(2 * np.pi * 2 * time))
    return flac((hum + 0.01 * np_rng(0, "noise", row["variant"]).standard_normal(len(time))).astype(np.float32))
