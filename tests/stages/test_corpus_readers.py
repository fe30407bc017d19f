"""Half-valid files: what can be read is, the rest has a reason that is the same everywhere."""

import codecs
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_texts import enter, params, source, write_texts

from inserter.errors import InserterError
from inserter.params import Source
from stages.corpus import readers
from stages.corpus.readers import RawDocument
from stages.corpus.sources import read
from stages.corpus.stage import main

NO_TEXT = "no text in its column"


def local(path: Path | str, **more: object) -> Source:
    return Source(name="s", kind="local", path=str(path), **more)


def reasons(source: Source) -> list[str | None]:
    return [raw.error and raw.error.partition(":")[0] for raw in read(source)]


def test_a_line_without_the_key_is_refused_alone(tmp_path: Path) -> None:
    lines = [
        '{"n": 1}',
        '{"body": "The well was deep."}',
        "{}",
        '{"body": null}',
        '{"body": 3.5}',
        '{"body": ["a"]}',
        '{"body": "\\udfff"}',
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    assert reasons(local(tmp_path, text_column="body")) == [NO_TEXT, None, *[NO_TEXT] * 4, "undecodable"]


def test_where_no_record_has_the_key_all_that_were_seen_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1}\n{"title": "b"}\n[3]\n')
    (tmp_path / "b.jsonl").write_text('{"content": "It rained."}\n')
    for limit in (None, 4):
        with pytest.raises(InserterError, match=r"no record has a column 'text'\. Set text_column to one of content, id, title$"):
            list(read(local(tmp_path, limit=limit)))


def test_without_the_key_a_source_without_an_end_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "TELL_AFTER", 5)
    (tmp_path / "a.jsonl").write_text('{"id": 1}\n' * 9)
    found = read(local(tmp_path))
    assert len([next(found) for _ in range(4)]) == 4
    with pytest.raises(InserterError, match="to one of id"):
        next(found)


def test_of_several_tables_one_may_lack_the_column(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["It rained.", None], "id": [3, 4]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"text": pa.array([b"bytes"], pa.binary())}), tmp_path / "c.parquet")
    ends = pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]))
    broken = pa.Array.from_buffers(pa.string(), 2, [None, ends, pa.py_buffer(b"\xffa")])
    pq.write_table(pa.table({"text": broken}), tmp_path / "d.parquet")
    assert reasons(local(tmp_path)) == [NO_TEXT, NO_TEXT, None, NO_TEXT, NO_TEXT, "undecodable", None]


def test_a_record_without_text_of_a_data_set_is_refused_alone(tmp_path: Path) -> None:
    rows = [{"id": 1, "text": "The first."}, {"id": 2}, {"id": 3, "text": None}, {"id": 4, "text": "The last."}]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    hub = Source(name="h", kind="hub", path=str(tmp_path))
    assert reasons(hub) == [None, NO_TEXT, NO_TEXT, None]
    with pytest.raises(InserterError, match=r"no record has a column 'body'\. Set text_column to one of id, text"):
        list(read(hub.model_copy(update={"text_column": "body"})))
    (tmp_path / "train.jsonl").write_text('{"text": "\\ud800"}\n')
    with pytest.raises(InserterError, match=r"cannot be read after row 0 .*kind: local"):
        list(read(hub))


def test_reasons_do_not_tell_where_the_source_is(tmp_path: Path) -> None:
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b'{"text": "a"}\n' * 99)[:-20])
    (tmp_path / "no.parquet").write_bytes(b"<html>not found</html>")
    (tmp_path / "no.jsonl.zst").write_bytes(b"not found")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nothing.txt")
    (tmp_path / "folder.txt").mkdir()
    refused = [raw for raw in read(local(tmp_path)) if raw.error]
    names = {raw.name.partition(":")[0] for raw in refused}
    assert names == {"cut.jsonl.gz", "no.parquet", "no.jsonl.zst", "latin.txt", "gone.txt"}
    assert not [raw for raw in refused if str(tmp_path) in f"{raw.name} {raw.error}" or "0x7f" in str(raw.error)]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_the_mark_at_a_files_beginning_says_how_to_read_it(tmp_path: Path, encoding: str) -> None:
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    (tmp_path / "A.TXT").write_bytes(mark + "Größe,\u2028wide.\n".encode(encoding))
    (tmp_path / "b.jsonl").write_bytes(mark + '{"text": "größer"}\n{"text": "am größten"}\n'.encode(encoding))
    assert [raw.text for raw in read(local(tmp_path))] == ["Größe,\u2028wide.\n", "größer", "am größten"]


def test_a_large_file_without_an_empty_line_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "TEXT_BYTES", 1_000)
    monkeypatch.setattr(readers, "MOST_BYTES", 4_000)
    for name, text in {"a": "It was so. And on it went! " * 900, "b": "so it went on " * 900, "c": "長い文章" * 2_000}.items():
        (tmp_path / "a.txt").write_text(text)
        found = list(read(local(tmp_path / "a.txt")))
        assert "".join(raw.text for raw in found) == text, name
        assert max(len(raw.text.encode()) for raw in found) <= 5_000 and not any(raw.error for raw in found)
    assert found[1] == RawDocument("a.txt#2", found[1].text)


def test_files_of_other_endings_are_said_and_a_folder_of_them_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = enter(tmp_path) / "text"
    write_texts(text, 4)
    for name in ("b.csv", "deep/c.CSV", "notes.md", "LICENSE", "d.parquet.gz", ".hidden.doc"):
        (text / name).parent.mkdir(exist_ok=True)
        (text / name).write_text("It rained.")
    main(params(source()))
    told = "skipped 5 files (.CSV 1, .csv 1, .gz 1, .md 1, none 1); readable endings are .txt, .jsonl, .parquet"
    assert [line for line in capsys.readouterr().err.splitlines() if told in line]
    with pytest.raises(InserterError, match=r"no text at .*deep among 1 file \(\.CSV 1\)\. Give .txt, .jsonl, .parquet"):
        list(read(local(text / "deep")))


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_line_beyond_the_limit_is_refused_alone_and_never_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    monkeypatch.setattr(readers, "LINE_BYTES", 1_000)
    good, long = '{"text": "The well was deep."}\n', json.dumps({"text": "so it went on " * 9_000})
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.write(good + long + "\n" + good + long + end)
    found = list(read(local(tmp_path)))
    assert [bool(raw.text) for raw in found] == [True, False, True, False]
    assert [raw.name for raw in found if raw.error] == ["a.jsonl.gz:2", "a.jsonl.gz:4"]
    assert found[1].error == "undecodable: a line of more than 1,000 bytes"
