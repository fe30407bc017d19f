"""Recordings of people: every form of folder is read, what cannot be used is refused and counted, and word errors are counted."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from checkout import ROOT

from inserter.errors import InserterError
from inserter.files import read_jsonl
from inserter.params import load
from inserter.run.work import WorkFolder
from inserter.training.models import saved_model
from inserter.tts import load_voice
from stages.evaluate import people, recogniser, recordings

LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")


def sound(path: Path, wave: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = np.random.default_rng(len(path.name)).normal(0, 0.05, 4_000).astype(np.float32)
    soundfile.write(path, made if wave is None else wave, 16_000)
    return path


def librispeech(root: Path) -> None:
    sound(root / "84" / "1" / "84-1-0.flac"), sound(root / "84" / "1" / "84-1-1.flac")
    (root / "84" / "1" / "84-1.trans.txt").write_text("84-1-0 MISTER REED IS HERE\n84-1-1 SO IS SHE\n")


def sphinx(root: Path) -> None:
    sound(root / "a" / "one.wav"), sound(root / "a" / "two.wav")
    (root / "fileids").write_text("a/one\na/two\n")
    (root / "transcription").write_text("<s> mister reed is here ++breath++ </s> (one)\n<s> so is she(2) </s> (two)\n")


def beside(root: Path) -> None:
    for name, text in (("one", "Mister Reed is here.\n"), ("two", "So is she.")):
        sound(root / f"{name}.wav").with_suffix(".txt").write_text(text)
    (root / "README.txt").write_text("Recorded at home.")


def texts_elsewhere(root: Path) -> None:
    for name, text in (("one", "Mister Reed is here.\n"), ("two", "So is she.")):
        sound(root / "wav" / f"{name}.wav")
        (root / "txt").mkdir(exist_ok=True)
        (root / "txt" / f"{name}.txt").write_text(text)


def one_text(root: Path) -> None:
    sound(root / "wav" / "one.wav"), sound(root / "wav" / "two.wav")
    (root / "transcripts.txt").write_text("one\tMister Reed is here.\ntwo\tSo is she.\n")


def json_lines(root: Path) -> None:
    rows = [{"audio_filepath": str(sound(root / "x" / "one.wav")), "text": "Mister Reed is here."}]
    rows.append({"audio": {"path": "x/two.wav"}, "transcript": "So is she."})
    sound(root / "x" / "two.wav")
    (root / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def common_voice(root: Path) -> None:
    sound(root / "clips" / "one.mp3"), sound(root / "clips" / "two.mp3")
    with (root / "test.tsv").open("w", newline="") as file:
        rows = csv.writer(file, delimiter="\t")
        rows.writerows([["client_id", "path", "sentence", "locale"], ["c", "one.mp3", "Mister Reed is here.", "en"]])
        rows.writerow(["c", "two.mp3", "So is she.", "en"])


def fleurs(root: Path) -> None:
    sound(root / "audio" / "test" / "one.wav"), sound(root / "audio" / "test" / "two.wav")
    rows = [("3", "one.wav", "Mister Reed is here.", "mister reed is here"), ("4", "two.wav", "So is she.", "so is she")]
    (root / "test.tsv").write_text("".join("\t".join([*row, "m i s", "4000", "MALE"]) + "\n" for row in rows))


def lj_speech(root: Path) -> None:
    sound(root / "wavs" / "LJ1-1.wav"), sound(root / "wavs" / "LJ1-2.wav")
    (root / "metadata.csv").write_text('LJ1-1|Mister Reed is "here"|Mister Reed is "here"\nLJ1-2|So is she.|So is she.\n')


def parquet(root: Path) -> None:
    data = []
    for name in ("one", "two"):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.random.default_rng(1).normal(0, 0.1, 4_000), 16_000, format="FLAC")
        data.append({"bytes": buffer.getvalue(), "path": f"{name}.flac"})
    table = pa.table({"audio": data, "text": ["Mister Reed is here.", "So is she."]})
    pq.write_table(table, root / "test-00000.parquet", row_group_size=1)


FORMS = [librispeech, sphinx, beside, texts_elsewhere, one_text, json_lines, common_voice, fleurs, lj_speech, parquet]


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_folder_gives_its_clips_and_what_was_said(form, tmp_path):
    form(tmp_path)
    found = people.find(str(tmp_path), "en")
    assert found.refused == []
    said = [one.text.lower().replace('"', "").strip(".") for one in found.recordings]
    assert said == ["mister reed is here", "so is she"]
    assert all(len(recordings.wave_of(one)) for one in found.recordings)


def test_a_file_is_read_alone_and_names_the_language(tmp_path):
    common_voice(tmp_path)
    (tmp_path / "other.tsv").write_text("path\tsentence\tlocale\none.mp3\tGuten Tag\tde-AT\n")
    (one,) = people.find(str(tmp_path / "other.tsv"), "en").recordings
    assert (one.text, one.language) == ("Guten Tag", "de")


def test_what_cannot_be_used_is_refused_with_a_reason(tmp_path):
    rows = [
        {"audio": "good.wav", "text": "It is good."},
        {"audio": "gone.wav", "text": "It is gone."},
        {"audio": "mute.wav", "text": " "},
        {"audio": "good.wav", "text": "It is good again."},
        {"text": "Nothing."},
        {"audio": "mute.wav", "text": "x", "offset": 2.5},
    ]
    sound(tmp_path / "good.wav"), sound(tmp_path / "mute.wav"), sound(tmp_path / "untold.wav")
    (tmp_path / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "[1]\n{bad\n")
    (tmp_path / "torn.csv").write_bytes(b"path,text\n\xff\xfe,\xff\n")
    (tmp_path / "test-clean.tar.gz").write_bytes(b"\x1f\x8b not a table")
    (tmp_path / "dataset_info.json").write_text('{"version": 1}')
    found = people.find(str(tmp_path), "en")
    assert [one.id for one in found.recordings] == ["good.wav"]
    reasons = [row["reason"] for row in found.refused]
    assert sorted(reasons) == sorted(
        ["missing audio"] * 2 + ["no transcript"] * 2 + ["duplicate", "part of a file"] + ["unreadable record"] * 3
    )


@pytest.mark.parametrize("name", ["nowhere", "empty", "notes.pdf"])
def test_a_place_without_recordings_is_an_error_with_a_remedy(name, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.pdf").write_bytes(b"%PDF")
    with pytest.raises(InserterError, match=r"evaluate\.recordings"):
        people.find(str(tmp_path / name), "en")


@pytest.fixture
def measured(tmp_path, monkeypatch, tiny_model):
    """measure(folder, **more) -> (the report, the rows of the clips), in a workspace of its own."""
    params = load()
    monkeypatch.chdir(tmp_path)

    def measure(folder: Path, **more):
        evaluate = params.evaluate.model_copy(update={"recordings": str(folder), "precision": "fp32", "max_new_tokens": 4, **more})
        now = params.model_copy(update={"evaluate": evaluate})
        work = WorkFolder("evaluate", {}, [])
        found = recordings.find(evaluate)
        report = recordings.measure(now, *saved_model(tiny_model), found=found, work=work)
        return report, list(read_jsonl(work / "out" / "recordings.jsonl")) if found else []

    return measure


def test_word_errors_are_counted_and_what_cannot_be_decoded_is_counted_too(measured, tmp_path, monkeypatch):
    folder = tmp_path / "people"
    voice = load_voice(load(ROOT / "params.yaml").synthesize.voices[0])
    lines = {"one": "The old man walked slowly down the road.", "two": "She opened the window.", "three": "."}
    for name, text in lines.items():
        sound(folder / f"{name}.wav", voice.speak(text if len(text) > 1 else "Yes.")).with_suffix(".txt").write_text(text)
    (folder / "two.txt").write_text("She opened every window.")  # it is not what was said
    (folder / "cut.wav").write_bytes((folder / "one.wav").read_bytes()[:30])
    (folder / "cut.txt").write_text("It was cut.")
    sound(folder / "silent.wav", np.zeros(8_000, np.float32)).with_suffix(".txt").write_text("Nobody spoke.")
    report, rows = measured(folder)
    assert report["found"] == 5 == report["clips"] + sum(report["refused"].values())
    assert report["refused"]["silent"] == 1 and report["refused"]["no transcript"] == 1
    errors = report["word_errors"]
    by_id = {row["id"]: row for row in rows}
    assert by_id["one.wav"]["asr_errors"] <= 1 <= by_id["two.wav"]["asr_errors"] <= 2
    assert report["words"] == 12 and errors["asr"]["errors"] == sum(row["asr_errors"] for row in rows)
    low, high = errors["asr"]["interval"]
    assert errors["asr"]["share"] == errors["asr"]["errors"] / 12 and low <= errors["asr"]["share"] <= high
    assert errors["heard"]["share"] - errors["asr"]["share"] == pytest.approx(errors["difference"]["share"])
    assert by_id.keys() == {"one.wav", "two.wav"} and report["answers"] is None
    json.dumps(report)

    def never(*_, **__):
        raise AssertionError("heard again")

    monkeypatch.setattr(recogniser, "_one", never)
    monkeypatch.setattr(recordings, "_spelled", never)
    assert measured(folder)[0] == report


def test_fillers_are_no_words_and_a_long_clip_is_heard_in_windows(measured, tmp_path):
    assert recordings.spoken_words("Um, yes. It's, uh, $5.", "en") == ["yes", "its", "five", "dollars"]
    folder = tmp_path / "people"
    sound(folder / "long.wav", np.random.default_rng(0).normal(0, 0.02, 16_000 * 75).astype(np.float32))
    (folder / "long.txt").write_text("A long noise.")
    (folder / "sound.m4a").write_bytes(b"none")
    (folder / "sound.txt").write_text("It is in a form that is not read.")
    report, (row,) = measured(folder)
    assert row["seconds"] == 75 and row["heard"] and report["refused"] == {"undecodable": 1}


def test_instructions_are_heard_and_answered(measured, tmp_path):
    checks = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    rows = [{"audio": "a.wav", "text": "Write a line without commas.", **checks}]
    folder = sound(tmp_path / "people" / "a.wav").parent
    (folder / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report, (row,) = measured(folder)
    cells = report["answers"]["en"]["recordings"]
    assert cells["heard"]["n_prompts"] == cells["read"]["n_prompts"] == 1
    assert row["heard_answer"] is not None and row["read_answer"] is not None


def test_without_the_key_nothing_is_measured_and_no_earlier_table_is_left(measured, tmp_path):
    (tmp_path / "people").mkdir()
    lj_speech(tmp_path / "people")
    assert measured(tmp_path / "people")[0]["clips"] == 2 and list(tmp_path.glob(".work/evaluate/*/out/*"))
    assert measured(Path(), recordings=None) == (None, [])
    assert not list(tmp_path.glob(".work/evaluate/*/out/*"))


def test_an_adapter_that_spells_nothing_has_no_word_errors(measured, tmp_path, monkeypatch):
    from models.adapter import SoftTokenAdapter

    beside(tmp_path / "people")
    monkeypatch.setattr(recordings, "ProjectionAdapter", SoftTokenAdapter)
    report, _ = measured(tmp_path / "people")
    assert report["word_errors"]["heard"] is None and report["word_errors"]["asr"]["errors"] >= 0


@pytest.mark.skipif(not LIBRIVOX.is_dir(), reason="Debian's pocketsphinx-testdata is not installed")
def test_librivox_clips_of_pocketsphinx_are_understood_by_the_recogniser(measured):
    report, _ = measured(LIBRIVOX)
    assert (report["clips"], report["words"], report["refused"]) == (5, 71, {})
    assert report["word_errors"]["asr"]["share"] < 0.15
