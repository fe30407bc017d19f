"""What is held out: by content and place in the source, whatever files are called and however few they are."""

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest
from corpus_texts import enter, params, prose, reconciles, rows, source

from inserter.errors import InserterError
from inserter.params import Source
from inserter.text.overlap import Passages
from stages.corpus.sources import read
from stages.corpus.stage import main

SMALL = {"words": 4_000, "max_words": 70, "heldout_documents": 4}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return enter(tmp_path)


def fill(folder: Path, names: list[str], paragraphs: int = 3) -> None:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n\n".join(prose(f"{number}-{part}", 4) for part in range(paragraphs)))


def splits(found: list[dict]) -> dict[str, list[str]]:
    texts = defaultdict(list)
    for row in found:
        texts[row["split"]].append(row["text"])
    return texts


def files_of(folder: Path, texts: list[str]) -> set[str]:
    raw = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.txt")}
    return {next(name for name, text in raw.items() if part in text) for part in texts}


@pytest.mark.parametrize("name", ["page.txt", "body.txt", "transcript.txt"])
def test_files_of_one_name_in_many_folders_are_documents_of_their_own(workspace: Path, name: str) -> None:
    fill(workspace / "text", [f"chapter {number}/{name}" for number in range(30)])
    metrics = main(params(source(), **SMALL))
    reconciles(metrics)
    found = splits(rows())
    held, taught = (files_of(workspace / "text", found[split]) for split in ("heldout", "train"))
    assert len(found["heldout"]) == 4 and len(taught) > 15
    assert not held & taught


def test_the_split_is_the_same_where_the_source_has_moved_and_by_folder_or_glob(workspace: Path) -> None:
    fill(workspace / "text", [f"{letter}/same.txt" for letter in "abcdefghijklmnopqrstuvwxyz"])
    main(params(source(), **SMALL))
    first = splits(rows())
    (workspace / "elsewhere").mkdir()
    (workspace / "text").rename(workspace / "elsewhere/moved")
    for path in ("elsewhere/moved", "./elsewhere/moved/", f"{workspace}/elsewhere/moved/*/*.txt"):
        main(params(source(path=path), **SMALL))
        assert splits(rows()) == first, path


@pytest.mark.parametrize("name", ["a.txt", "b.txt", "c.txt", "whole.jsonl"])
def test_a_single_file_is_split_within(workspace: Path, name: str) -> None:
    parts = [prose(f"one {part}", 4) for part in range(60)]
    text = "\n\n".join(parts) if name.endswith(".txt") else json.dumps({"text": "\n\n".join(parts)})
    (workspace / "text" / name).write_text(text)
    metrics = main(params(source(path=f"text/{name}"), **SMALL))
    reconciles(metrics)
    assert metrics["splits"]["heldout"]["documents"] == 4
    assert metrics["splits"]["train"]["documents"] > 40


def test_one_large_file_does_not_decide_the_split_of_many_small_ones(workspace: Path) -> None:
    for name in ("0", "1", "2", "3", "4", "5", "6", "7"):  # under some of these the large one would be drawn
        fill(workspace / name, [f"note{number}.txt" for number in range(12)], 1)
        (workspace / name / f"large{name}.txt").write_text("\n\n".join(prose(f"large {part}", 4) for part in range(60)))
        metrics = main(params(source(path=name), **{**SMALL, "words": 100_000}))
        assert metrics["splits"]["train"]["words"] > 0.85 * metrics["words"], name


def test_what_is_held_out_of_a_single_file_does_not_depend_on_the_words(workspace: Path) -> None:
    (workspace / "text/one.txt").write_text("\n\n".join(prose(f"one {part}", 4) for part in range(90)))
    held = []
    for words in (1_000, 5_000):
        main(params(source(), **{**SMALL, "words": words}))
        held.append(sorted(splits(rows())["heldout"]))
    assert held[0] == held[1]


def test_what_the_refusal_advises_helps(workspace: Path) -> None:
    fill(workspace / "text", ["a.txt", "b.txt", "c.txt"], 1)
    few = {"words": 1_000, "min_words": 20, "max_words": 100}
    with pytest.raises(InserterError, match=r"Set corpus\.heldout_documents to 2 or fewer"):
        main(params(source(), heldout_documents=50, **few))
    assert main(params(source(), heldout_documents=2, **few))["splits"]["train"]["documents"] == 1
    (workspace / "text/b.txt").unlink()
    (workspace / "text/c.txt").unlink()
    with pytest.raises(InserterError, match=r"no document is left.*add text"):
        main(params(source(), heldout_documents=2, **few))


def shifted(parts: list[str], first: str) -> str:
    """The same text below another beginning, so that it is cut elsewhere."""
    return "\n\n".join([first, *parts])


def test_the_same_text_cut_elsewhere_in_another_source_is_not_trained_on(workspace: Path) -> None:
    parts = [prose(f"book {part}", 3) for part in range(60)]
    (workspace / "text/book.txt").write_text("\n\n".join(parts))
    (workspace / "other").mkdir()
    (workspace / "other/copy.txt").write_text(shifted(parts, "It was printed again in the spring of that year by the old house."))
    both = (source(), source(path="other", name="again"))
    metrics = main(params(*both, words=10_000, min_words=60, max_words=120, heldout_documents=4))
    reconciles(metrics)
    assert metrics["documents"]["dropped"]["repeats_heldout"] > 0
    found = splits(rows())
    sentences = [part + "." for text in found["heldout"] for part in text.replace("\n\n", " ").split(". ") if part]
    taught = " ".join(found["train"]).replace("\n\n", " ")
    learnt = sum(sentence.rstrip(".") in taught for sentence in sentences)
    assert learnt <= 0.2 * len(sentences), "beside the edges"


NEAR = params(source()).corpus.near_duplicates
HELD = prose("held", 8)
OTHERS = [prose(f"held {number}", 8) for number in range(5)]


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        (HELD, True),
        (HELD.upper().replace(".", " --").replace(" ", "\n"), True),
        (f"{prose('before', 6)} “{HELD}” {prose('after', 6)}", True),
        (" ".join(HELD.split()[20:70]), True),
        (f"{prose('x', 5)} {' '.join(HELD.split()[30:75])} {prose('y', 5)}", True),
        (HELD.replace("the old", "the odd", 1) + " All of it was printed once more by the same house.", True),
        (prose("something else", 8), False),
        (f"{prose('x', 5)} {' '.join(HELD.split()[30:45])} {prose('y', 5)}", False),
        ("", False),
    ],
)
def test_a_passage_of_a_held_out_text_is_known(text: str, repeats: bool) -> None:
    assert Passages([HELD, *OTHERS], NEAR).repeated_in(text) is repeats


def test_text_common_to_many_held_out_texts_matches_none_of_them() -> None:
    footer = " ".join(f"footer{number}" for number in range(60))
    known = Passages([f"{text} {footer}" for text in [HELD, *OTHERS]], NEAR)
    assert not known.repeated_in(f"{prose('another', 8)} {footer}")
    assert known.repeated_in(f"{footer} {HELD}")


def test_files_are_told_apart_by_their_place_and_read_through_links(workspace: Path) -> None:
    for folder in ("text/a", "text/B", "text/b", "away/deep"):
        (workspace / folder).mkdir(parents=True)
        (workspace / folder / "x.txt").write_text(folder)
    (workspace / "text/é.txt").write_text("one form")
    (workspace / "text/e\u0301.txt").write_text("the other")
    for name, to in {"link": "away", "loop": "text", "gone.txt": "gone.txt"}.items():
        (workspace / "text" / name).symlink_to(workspace / to)
    Path(os.fsdecode(os.fsencode(workspace / "text") + b"/\xff.txt")).write_text("a name of bytes")
    found = {raw.name: raw.error or raw.text for raw in read(Source(name="s", kind="local", path="text"))}
    assert found == {
        "B/x.txt": "text/B",
        "a/x.txt": "text/a",
        "b/x.txt": "text/b",
        "link/deep/x.txt": "away/deep",
        "é.txt": "one form",
        "e\u0301.txt": "the other",
        "gone.txt": "unreadable: No such file or directory",
        "\\xff.txt": "a name of bytes",
    }
