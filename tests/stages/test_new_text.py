"""A document is added to a source: the others keep their place in the data, and only the new one is spoken and heard."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import ROOT
from corpus_texts import prose, source

from inserter.files import read_table, write_jsonl
from inserter.params import Params, load
from inserter.tables import DOCUMENTS, UTTERANCES, VERIFIED
from stages.corpus.stage import main as corpus
from stages.segment.stage import main as segment
from stages.synthesize.stage import main as synthesize
from stages.verify.stage import main as verify

STAGES: dict[str, Callable[[Params], Any]] = {"corpus": corpus, "segment": segment, "synthesize": synthesize, "verify": verify}
SPOKEN = ("utterances.parquet", "shard-00000.tar", "original-00000.tar")
HEARD = ("clean.parquet", "quarantine.parquet")


def begin(folder: Path, texts: int) -> None:
    """A workspace with `texts` texts of one document each, and parameters for seconds of speech."""
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    size = {"words": 4_000, "min_words": 20, "max_words": 120, "heldout_documents": 2, "heldout_share": 0.2, "lexicon": None}
    raw["corpus"] |= {"sources": [source()], "workers": 1, **size}
    raw["segment"] |= {"workers": 1, "context_words": 8, "continuation_words": 8, "word_level": 0.0}
    raw["segment"]["sentence"]["share"] = 0.6
    raw["synthesize"] |= {"workers": 1, "voices": raw["synthesize"]["voices"][:2]}
    raw["verify"] |= {"workers": 1, "second_opinion": None}
    folder.mkdir()
    (folder / "params.yaml").write_text(yaml.safe_dump(raw))
    write_jsonl(folder / "data/benchmark/prompts.jsonl", [{"key": "1", "prompt": "Write two lines about the sea and the tide"}])
    (folder / "text").mkdir()
    for number in range(texts):
        add(folder, f"{number:02d}")


def add(folder: Path, name: str) -> None:
    (folder / "text" / f"{name}.txt").write_text(prose(f"text {name}", 3))


def run() -> dict[str, dict[str, Any]]:
    """The stages, each without its earlier outputs, as DVC runs them; what each returned."""
    returned = {}
    for name, main in STAGES.items():
        shutil.rmtree(f"data/{name}", ignore_errors=True)
        returned[name] = main(load())
    return returned


def splits() -> dict[str, str]:
    return {row["doc_id"]: row["split"] for row in read_table("data/corpus", DOCUMENTS)}


def spoken() -> set[str]:
    return {row["utt_id"] for row in read_table("data/synthesize/utterances.parquet", UTTERANCES)}


def heard() -> set[str]:
    return {row["utt_id"] for name in HEARD for row in read_table(f"data/verify/{name}", VERIFIED)}


def test_only_what_is_new_is_spoken_and_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path / "grown", 12)
    monkeypatch.chdir(tmp_path / "grown")
    first = run()
    before, clips = splits(), spoken()
    assert len(before) == 12 and sorted(before.values()).count("heldout") == 2
    assert first["synthesize"]["system"]["originals_made"] == len(clips) == first["verify"]["system"]["clips_measured"]

    add(tmp_path / "grown", "12")
    second = run()
    assert before.items() <= splits().items() and len(splits()) == 13, "identity and split stay"
    new = spoken() - clips
    assert clips <= spoken() and 0 < len(new) < 5
    system = second["synthesize"]["system"]
    assert (system["originals_made"], system["originals_reused"]) == (len(new), len(clips))
    system = second["verify"]["system"]
    assert system["clips_measured"] + system["clips_reused"] == len(heard()) == len(spoken())
    assert system["clips_reused"] > 0 and len(new) <= system["clips_measured"] <= len(clips) // 2, "the block of the new document"
    assert len(list(Path(".work/verify").iterdir())) == 1, "only the newest is kept"

    begin(tmp_path / "whole", 13)
    monkeypatch.chdir(tmp_path / "whole")
    run()
    for stage, names in (("synthesize", SPOKEN), ("verify", HEARD)):
        for name in names:
            grown, whole = (tmp_path / workspace / "data" / stage / name for workspace in ("grown", "whole"))
            assert grown.read_bytes() == whole.read_bytes(), f"{name} is that of a run that began with all the text"
