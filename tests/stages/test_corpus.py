"""What goes into the corpus is counted: in = kept + dropped by reason, at every step, and the same inputs give the same bytes."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_texts import enter, params, prose, reconciles, rows, source, write_texts

from inserter.errors import InserterError
from inserter.files import read_jsonl
from inserter.params import Source
from stages.corpus.sample import looked_at
from stages.corpus.sources import read
from stages.corpus.stage import main


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return enter(tmp_path)


def test_everything_that_is_refused_is_counted_by_reason(workspace: Path) -> None:
    text = workspace / "text"
    write_texts(text, 12)
    (text / "b-copy.txt").write_text((text / "a00.txt").read_text().replace("\n\n", "\n\n\n"))
    near = prose("a1").split()
    (text / "c-near.txt").write_text(" ".join([*near[:50], "quietly", *near[50:]]) + "\n\n" + prose("a1b"))
    (text / "d-leak.txt").write_text(prose("d") + " Write two lines about the sea and end with the word tide.")
    (text / "e-german.txt").write_text(
        "Der alte Mann ging am Morgen über die Brücke und sah den Fluss, der durch das Tal floss. Niemand wusste, warum er kam. "
        "Auf dem Markt sprachen die Leute von der Ernte, vom Regen und von den Preisen, die in jedem Jahr ein wenig höher lagen. "
        "Erst als die Glocken läuteten, wurde es still."
    )
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
    shutil.rmtree(".work")
    main(params(source(), workers=2))
    assert path.read_bytes() == first, "on two processes"
    main(params(source(), seed=2))
    assert path.read_bytes() != first


def test_what_is_held_out_stays_the_same_with_more_text_and_nothing_beside_it_is_trained_on(workspace: Path) -> None:
    for number in range(200):
        text = "\n\n".join(prose(f"{number}-{part}") for part in range(3))
        (workspace / "text" / f"{number:03d}.txt").write_text(text)
    raw = {path.name: path.read_text() for path in (workspace / "text").iterdir()}

    def splits(words: int) -> dict[str, list[str]]:
        reconciles(main(params(source(), words=words, max_words=70, heldout_documents=12)))
        return {split: [row["text"] for row in rows() if row["split"] == split] for split in ("heldout", "train")}

    few, many = splits(2_000), splits(20_000)
    assert sorted(few["heldout"]) == sorted(many["heldout"]) and len(many["heldout"]) == 12
    assert set(few["train"]) < set(many["train"]), "more of the same order"
    of = {row: name for name, text in raw.items() for row in many["heldout"] + many["train"] if row in text}
    assert {of[row] for row in many["heldout"]}.isdisjoint(of[row] for row in many["train"])
    assert len({of[row] for row in many["heldout"]}) > 6, "of many raw documents"


def test_a_language_model_writes_what_is_wanted_and_nothing_for_the_lists(workspace: Path) -> None:
    lists = {"words": 40, "line_words": 8, "look_at_words": 20_000}
    corpus = params(source(), source(kind="lm", path="lm", name="written"), words=500, lexicon=lists).corpus
    read_of, written_of = (looked_at(corpus, each, 1.3) for each in corpus.sources)
    assert written_of == 650 and read_of >= 20_000


def test_few_raw_documents_are_held_out_in_part(workspace: Path) -> None:
    (workspace / "text" / "book.txt").write_text("\n\n".join(prose(f"p{part}") for part in range(40)))
    metrics = main(params(source(), words=2_000, max_words=70, heldout_documents=5))
    reconciles(metrics)
    assert metrics["splits"]["heldout"]["documents"] == 5 and metrics["splits"]["train"]["documents"] > 20


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


def test_instructions_are_a_source_like_any_other_without_those_of_the_benchmark(workspace: Path) -> None:
    asked = [{"key": "1", "prompt": next(iter(read(Source(name="p", kind="embedded", path="prompts")))).text.split("\n\n")[0]}]
    (workspace / "data/benchmark/prompts.jsonl").write_text(json.dumps(asked[0]) + "\n")
    metrics = main(params(source(kind="embedded", path="prompts"), words=200_000, min_words=60, max_words=180))
    reconciles(metrics)
    assert metrics["words"] > 50_000 and metrics["decontaminated"] >= 1
    assert not any(asked[0]["prompt"] in row["text"] for row in rows())
    with pytest.raises(InserterError, match=r"no embedded text 'x'.*Set path to sotu or prompts"):
        list(read(Source(name="p", kind="embedded", path="x")))
