"""A look at the sources says what they hold, whatever it remembers, and reads only what may have changed."""

import os
import shutil
from pathlib import Path

import pytest
from corpus_texts import params, source, write_texts

from inserter.errors import InserterError
from inserter.sources import found, text_form
from stages.sources import look, stage
from stages.sources.look import look_at
from stages.sources.walk import listed

OLD = 1_600_000_000  # s: long before any look, so the time of a file is trusted
TEXT = Path("text")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a/x.txt", "a.b/y.jsonl.gz", "a-c.txt", "z.parquet", "notes.md"):
        write(name, name)
    return tmp_path


def write(name: str, text: str, when: int = OLD) -> None:
    path = TEXT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (when, when))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The places of the files that were read, as they are read."""
    names: list[bytes] = []
    real = look._read
    monkeypatch.setattr(look, "_read", lambda file: (names.append(file.place), real(file))[1])
    return names


def test_only_what_is_new_or_has_another_size_or_time_is_read(folder, read, capsys):
    first = look_at("mine", TEXT, text_form)
    assert first["files"] == 4 and sorted(read) == read == [b"a-c.txt", b"a.b/y.jsonl.gz", b"a/x.txt", b"z.parquet"]
    read.clear()
    assert look_at("mine", TEXT, text_form) == first and read == []

    write("a/x.txt", "a/y.txt")  # of the same size and time, as no file becomes by itself
    assert look_at("mine", TEXT, text_form) == first and read == []
    write("a/x.txt", "a/x.txt", when=OLD + 1)
    assert look_at("mine", TEXT, text_form) == first and read == [b"a/x.txt"], "touched: read, and nothing has changed"
    read.clear()

    write("a/x.txt", "other", when=OLD + 2)
    write("b.txt", "new")
    (TEXT / "a-c.txt").unlink()
    capsys.readouterr()
    second = look_at("mine", TEXT, text_form)
    assert second["sha256"] != first["sha256"] and read == [b"a/x.txt", b"b.txt"]
    assert capsys.readouterr().err == "sources: mine: 1 added, 1 changed, 1 removed since the last look\n"


def test_without_its_cache_a_look_says_the_same(folder, capsys):
    seen = look_at("mine", TEXT, text_form)
    cache = Path(".work/sources.sqlite")
    cache.unlink()
    assert look_at("mine", TEXT, text_form) == seen
    cache.write_bytes(b"no database" * 1000)
    assert look_at("mine", TEXT, text_form) == seen and "sources.sqlite is damaged" in capsys.readouterr().err
    shutil.rmtree(".work")
    Path(".work").write_text("in the way")
    assert look_at("mine", TEXT, text_form) == seen and "cannot be used" in capsys.readouterr().err


def test_a_file_that_was_written_just_now_is_read_again(folder, read):
    (TEXT / "now.txt").write_text("a")
    first = look_at("mine", TEXT, text_form)
    about = (TEXT / "now.txt").stat()
    (TEXT / "now.txt").write_text("b")  # within the time that the file system can tell apart
    os.utime(TEXT / "now.txt", ns=(about.st_atime_ns, about.st_mtime_ns))
    assert look_at("mine", TEXT, text_form)["sha256"] != first["sha256"]


def test_links_odd_names_and_what_cannot_be_read_are_counted_in_one_line(folder, capsys):
    (TEXT / "broken.txt").symlink_to("nowhere")
    (TEXT / "self.txt").symlink_to("self.txt")
    (TEXT / "loop").symlink_to("../text")
    (TEXT / "link.txt").symlink_to("a/x.txt")
    Path(os.fsdecode(b"text/\xff.txt")).write_text("odd")
    os.mkfifo(TEXT / "pipe.txt")  # reading it would wait for ever
    seen = look_at("mine", TEXT, text_form)
    assert (seen["files"], seen["faults"]) == (6, {"broken link": 1, "unreadable": 1})
    line = "sources: mine: 2 files cannot be read (broken link 1, unreadable 1); the first is broken.txt\n"
    assert capsys.readouterr().err == line
    assert look_at("mine", TEXT, text_form) == seen and capsys.readouterr().err == line, "no file counts as new again"
    ours = {os.fsdecode(file.path) for file in listed(TEXT, text_form)}
    assert ours == {str(path) for path in found(TEXT, lambda path: text_form(os.fsencode(path.name)))[1]}, "what the corpus reads"


def test_a_file_that_vanishes_meanwhile_was_never_there(folder, monkeypatch, capsys):
    before = look_at("mine", TEXT, text_form)
    write("b.txt", "new")
    real = look._read
    monkeypatch.setattr(look, "_read", lambda file: (Path(os.fsdecode(file.path)).unlink(), real(file))[1])
    assert look_at("mine", TEXT, text_form) == before
    assert "1 files vanished" in capsys.readouterr().err


def test_the_stage_writes_no_times_and_tells_sources_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    TEXT.mkdir()
    write_texts(TEXT, 3)
    given = params(source(), source(kind="embedded", path="prompts", name="prompts"), source(path="text/*1.txt", name="one"))
    report = stage.main(given)
    assert report["corpus"]["mine"]["files"] == 3 and report["corpus"]["one"]["files"] == 1 and report["sft"] == {}
    written = Path("data/sources/corpus.json").read_bytes()
    for path in TEXT.iterdir():
        os.utime(path, (OLD, OLD))
    stage.main(given)
    assert Path("data/sources/corpus.json").read_bytes() == written and stage.changes(given) == []
    write("a01.txt", "Another text.")
    assert stage.changes(given) == ["corpus.sources mine: its content changed", "corpus.sources one: its content changed"]
    write("b.txt", "One more.")
    assert "corpus.sources mine: 3 files are 4 now" in stage.changes(given)
    shutil.rmtree(TEXT)
    with pytest.raises(InserterError, match="source mine: there is nothing to read at text"):
        stage.main(given)
    assert "nothing to read at text" in stage.changes(given)[0]


def test_a_data_set_of_the_hub_counts_by_its_revision_or_by_its_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    given = params(source(kind="hub", path="org/name:main"))
    assert stage.look(given)["corpus"] == {"mine": {"revision": None}}
    head = tmp_path / "hub/datasets--org--name/refs/main"
    head.parent.mkdir(parents=True)
    head.write_text("0123abc\n")
    assert stage.look(given)["corpus"] == {"mine": {"revision": "0123abc"}}
    (tmp_path / "set").mkdir()
    (tmp_path / "set/data.csv").write_text("text\nOne.\n")
    assert stage.look(params(source(kind="hub", path="set")))["corpus"]["mine"]["files"] == 1


def test_a_temporary_copy_of_dvc_looks_at_the_workspaces_own_text(folder, monkeypatch, read):
    """Git has neither the text nor the cache, so the copy has neither."""
    given = params(source())
    stage.main(given)
    read.clear()
    copy = folder / ".dvc/tmp/exps/tmp1"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    report = stage.main(given)
    assert report["corpus"]["mine"]["files"] == 4
    assert Path("data/sources/corpus.json").read_bytes() == (folder / "data/sources/corpus.json").read_bytes()
