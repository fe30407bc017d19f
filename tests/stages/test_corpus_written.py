"""Text written by a language model: the same whatever the workers, kept block by block, of prompts that no benchmark has."""

from pathlib import Path

import pytest
from corpus_texts import enter, params, reconciles, rows, source
from real_copy import SETTINGS

from inserter.files import read_jsonl
from inserter.params import Params, Source
from stages.benchmark.own import prompts
from stages.corpus import written
from stages.corpus.overlap import Contamination
from stages.corpus.stage import main
from stages.corpus.writer import whole_sentences


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return enter(tmp_path)


def write(here: Params, lm: Path | str, words: int, **changes: object) -> list[Path]:
    own = Source(name="own", kind="lm", path="lm", **changes)
    return written.write(own, here.corpus, str(lm), words=words, size=2)


def short(monkeypatch: pytest.MonkeyPatch, tokens: int) -> None:
    recipe = written.recipe()
    monkeypatch.setattr(written, "recipe", lambda: recipe | {"sampling": recipe["sampling"] | {"max_new_tokens": tokens}})


def test_blocks_are_the_same_in_another_cache_and_not_written_twice(
    workspace: Path, tiny_lm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(written, "whole_sentences", lambda text: text)  # random weights write no sentence
    monkeypatch.setenv("INSERTER_CACHE", str(workspace / "one"))
    short(monkeypatch, 60)
    few = write(params(source()), tiny_lm, 10)
    times = [path.stat().st_mtime_ns for path in few]
    more = write(params(source()), tiny_lm, sum(row["n_words"] for path in few for row in read_jsonl(path)) + 1)
    assert more[: len(few)] == few and len(more) > len(few)
    assert [path.stat().st_mtime_ns for path in few] == times
    monkeypatch.setenv("INSERTER_CACHE", str(workspace / "two"))
    again = write(params(source()), tiny_lm, 10)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in few]
    other = write(params(source(), seed=2), tiny_lm, 10)
    assert other[0].read_bytes() != few[0].read_bytes()


def test_the_embedded_lm_writes_a_corpus_and_two_processes_write_the_same(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "BLOCK", 1)
    monkeypatch.setattr(written.write, "__kwdefaults__", {"size": 1})
    own = source("lm", "lm", "own", license="Apache-2.0")
    shown = params(own, words=150, min_words=10, heldout_documents=1)
    metrics = main(shown)
    reconciles(metrics)
    found = rows()
    assert metrics["words"] >= 150 and {(row["source"], row["license"]) for row in found} == {("own", "Apache-2.0")}
    assert all(row["text"][-1] in ".!?”\"’':;,)" for row in found)
    wanted = {"words": 195, "size": 1}  # 1.3 times the corpus, as `main` asked for
    blocks = written.write(shown.corpus.sources[0], shown.corpus, shown.assets.lm, **wanted)
    alone = [block.read_bytes() for block in blocks]
    for block in blocks:
        block.unlink()
    again = params(own, words=150, min_words=10, heldout_documents=1, workers=2).corpus
    assert written.write(again.sources[0], again, shown.assets.lm, **wanted) == blocks and len(blocks) > 1
    assert [block.read_bytes() for block in blocks] == alone


def test_every_document_has_its_own_prompt_and_none_is_the_benchmarks() -> None:
    count = len(written.recipe()["kinds"]) * len(written.recipe()["topics"]) * len(written.recipe()["voices"])
    assert len({written.prompt(1, number) for number in range(count)}) == count > 12_000
    assert written.prompt(1, 7) == written.prompt(1, 7) != written.prompt(2, 7)
    asked = Contamination([prompt.prompt for prompt in prompts(SETTINGS)], 6)
    assert not [number for number in range(count) if asked.found_in(written.prompt(1, number))]


def test_an_ending_that_is_no_sentence_is_cut() -> None:
    assert whole_sentences("It rained. Nobody came. And then the") == "It rained. Nobody came."
    assert whole_sentences("and then the") == ""
    assert whole_sentences("“Come in!” said the baker.") == "“Come in!” said the baker."
