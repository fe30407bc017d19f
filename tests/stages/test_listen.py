"""The page to listen to: what is shown is what the tables say, chosen by rule, with the very bytes that training hears."""

import random
import re
from pathlib import Path

import listen_inputs as made
import pytest

from inserter.audio.clips import read, read_clip_bytes
from inserter.errors import InserterError
from inserter.files import read_table, write_table
from inserter.tables import SEQUENCES, VERIFIED, reason_kind
from stages.listen import choose
from stages.listen.cards import BINS, wave
from stages.listen.diff import compared
from stages.listen.stage import build


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return made.write(tmp_path_factory.mktemp("listen"))


def test_counts_reconcile_and_everything_is_shown(inputs):
    data, reports = inputs
    found = build(data, reports)
    assert found["clips"] == {"best": 5, "worst": 5, "quarantined": 5} and found["sequences"] == 5
    assert found["in"] == found["clean"] + sum(found["quarantined"].values()) == 18
    assert found["quarantined"] == {"audio": 1, "level": 1, "silence": 1, "synthesis": 1, "wer": 2}
    html = (reports / "listen.html").read_text()
    for part in ("wer 1.00 &gt; 0.35", "level -81.4 dB", "We have built forty schools.", "Transcribe what you hear:"):
        assert part in html
    assert len(list((reports / "listen").iterdir())) == found["sounds"]


def test_a_sound_is_the_clip_byte_for_byte_and_its_original_is_beside_it(inputs):
    data, reports = inputs
    build(data, reports)
    rows = {row["utt_id"]: row for row in read_table(data / "verify" / "clean.parquet", VERIFIED)}
    noisy = rows["d-001"]  # in the interleaved sequence
    assert (reports / "listen" / "d-001.flac").read_bytes() == read_clip_bytes(data / "synthesize", noisy)
    original = {**noisy, "shard": noisy["original_shard"], "offset": noisy["original_offset"], "size": noisy["original_size"]}
    assert (reports / "listen" / "d-001-original.flac").read_bytes() == read_clip_bytes(data / "synthesize", original)
    assert "Before these effects: noise babble, snr 12.5 dB" in (reports / "listen.html").read_text()
    assert not (reports / "listen" / "d-000-original.flac").exists(), "nothing was done to it"


def test_best_and_worst_are_the_fewest_and_the_most_word_errors_then_the_duration(inputs):
    data, _ = inputs
    found = choose.clips(data / "verify", set())
    assert [row["utt_id"] for row in found.worst] == ["d-011", "d-010", "d-009", "d-008", "d-007"]
    assert {row["wer"] for row in found.best} == {0.0}


def test_the_duration_and_the_second_opinion_decide_among_equals(tmp_path, inputs):
    data, _ = inputs
    rows = read_table(data / "verify" / "clean.parquet", VERIFIED)
    for n, row in enumerate(rows):
        row |= {"wer": 0.3, "second_wer": 0.0 if n == 4 else None, "duration_z": (-1) ** n * n / 2}
    write_table(tmp_path / "clean.parquet", rows, VERIFIED)
    write_table(tmp_path / "quarantine.parquet", [], VERIFIED)
    found = choose.clips(tmp_path, set())
    assert [row["utt_id"] for row in found.best] == ["d-004", "d-000", "d-001", "d-002", "d-003"]
    assert [row["utt_id"] for row in found.worst] == ["d-011", "d-010", "d-009", "d-008", "d-007"]


def test_the_order_of_the_tables_changes_nothing(inputs, tmp_path):
    data, reports = inputs
    build(data, reports)
    before = (reports / "listen.html").read_bytes()
    for name, schema in (("verify/clean", VERIFIED), ("verify/quarantine", VERIFIED), ("interleave/sequences", SEQUENCES)):
        rows = read_table(data / f"{name}.parquet", schema)
        random.Random(3).shuffle(rows)
        write_table(tmp_path / f"{name}.parquet", rows, schema)
    (tmp_path / "synthesize").symlink_to(data / "synthesize")
    build(tmp_path, tmp_path / "reports")
    assert (tmp_path / "reports" / "listen.html").read_bytes() == before


def test_an_interleaved_sequence_with_several_spans_is_preferred(inputs):
    data, _ = inputs
    first, *_ = rows = choose.sequences(data / "interleave" / "sequences.parquet")
    assert [row["kind"] for row in rows] == ["interleaved", "interleaved", "transcribe", "continue", "text"]
    assert sum(part["utt_id"] is not None for part in first["parts"]) == 4


def test_each_reason_is_shown_before_a_second_one_of_any(inputs):
    data, _ = inputs
    reasons = [reason_kind(row["reason"]) for row in choose.clips(data / "verify", set()).quarantined]
    assert sorted(reasons) == ["audio", "level", "silence", "wer", "wer"], "the one that was never spoken comes last"


def test_without_a_quarantine_the_page_says_so(tmp_path):
    data, reports = made.write(tmp_path, quarantined=False)
    assert build(data, reports)["quarantined"] == {}
    assert "No clip was quarantined." in (reports / "listen.html").read_text()


def test_a_text_of_a_table_never_becomes_markup(tmp_path):
    data, reports = made.write(tmp_path, hostile=True)
    build(data, reports)
    html = (reports / "listen.html").read_text()
    assert html.count("<script") == 1 and "<img" not in html and "alert(&#39;in&#39;)" in html


def test_nothing_on_the_page_leads_outside(inputs):
    data, reports = inputs
    build(data, reports)
    html = (reports / "listen.html").read_text()
    assert not re.findall(r"https?://", html)
    sources = re.findall(r'(?:src|data-src)="([^"]+)"', html)
    assert sources and all((reports / source).is_file() for source in sources)


def test_a_lost_shard_is_named(tmp_path, inputs):
    data, _ = inputs
    (tmp_path / "verify").symlink_to(data / "verify")
    (tmp_path / "interleave").symlink_to(data / "interleave")
    with pytest.raises(InserterError, match=r"shard-00000.tar is missing. Run `dvc repro`"):
        build(tmp_path, tmp_path / "reports")
    assert not (tmp_path / "reports" / "listen.html").exists()


@pytest.mark.parametrize(
    ("said", "heard", "missing", "extra"),
    [
        ("The roads are good.", "the roads are good", [], []),
        ("The roads are good.", "the woods are good now", ["roads"], ["woods", "now"]),
        ("Today we go to the well-known town.", "to day we go to the well known town", [], []),
        ("Our fathers came.", "", ["Our", "fathers", "came."], []),
        ("今天很好。", "今天好", ["很"], []),
    ],
)
def test_words_that_differ_are_told_apart(said, heard, missing, extra):
    ours, theirs = compared(said, heard)
    assert [word for word, both in ours if not both] == missing
    assert [word for word, both in theirs if not both] == extra


def test_a_thumbnail_is_as_high_as_the_sound_is_loud(inputs):
    samples = read(inputs[1] / "listen" / "d-000.flac")
    heights = [float(b) - float(a) for a, b in re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", wave(samples))]
    assert len(heights) == BINS and max(heights) == pytest.approx(40 * abs(samples).max(), abs=0.2)
