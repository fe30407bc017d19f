"""Voices speak, deterministically, at their rate and pitch; what cannot be spoken or loaded says why."""

import os
import shutil

import numpy as np
import pytest

from inserter.audio.clips import SAMPLE_RATE, read_clip
from inserter.audio.effects import Effect
from inserter.errors import InserterError
from inserter.params import Voice
from inserter.tts import CannotSpeak, Job, Synthesizer, available, load_voice, speak_all, usable
from inserter.tts.voices import identity

TEXT = "Good morning, and thank you for coming."
HEART = Voice(name="heart", engine="hibari", voice="heart")


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def pitch(wave: np.ndarray) -> float:
    """Median fundamental in Hz, by autocorrelation over loud frames of 40 ms."""
    frames = wave[: len(wave) // 640 * 640].reshape(-1, 640)
    loud = frames[np.square(frames).mean(axis=1) > 0.3 * np.square(frames).mean(axis=1).max()]
    found = []
    for frame in loud:
        likeness = np.correlate(frame, frame, "full")[639:]
        found.append(SAMPLE_RATE / (40 + np.argmax(likeness[40:320])))
    return float(np.median(found))


def test_hibari_speaks_16_khz_and_the_same_text_the_same_samples():
    wave = load_voice(HEART).speak(TEXT)
    assert wave.dtype == np.float32 and wave.ndim == 1
    assert 1.5 < len(wave) / SAMPLE_RATE < 5
    assert 0.05 < np.abs(wave).max() <= 1
    assert np.array_equal(wave, load_voice(HEART).speak(TEXT))


@pytest.mark.parametrize("rate", [0.8, 1.3])
def test_rate_changes_the_duration_and_not_the_pitch(rate):
    plain = load_voice(HEART).speak(TEXT)
    changed = load_voice(HEART.model_copy(update={"rate": rate})).speak(TEXT)
    assert len(plain) / len(changed) == pytest.approx(rate, rel=0.12)
    assert pitch(changed) == pytest.approx(pitch(plain), rel=0.06)


@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_pitch_changes_the_pitch_and_not_the_duration(factor):
    plain = load_voice(HEART).speak(TEXT)
    changed = load_voice(HEART.model_copy(update={"pitch": factor})).speak(TEXT)
    assert pitch(changed) / pitch(plain) == pytest.approx(factor, rel=0.06)
    assert len(changed) == pytest.approx(len(plain), rel=0.12)


@pytest.mark.parametrize("text", ["", "  \n", "日本語"])
def test_text_without_a_sound_is_refused(text):
    with pytest.raises(CannotSpeak, match=r"empty text|zero samples"):
        load_voice(HEART).speak(text)


@pytest.mark.parametrize(("wave", "why"), [([0.1, float("nan")], "not finite"), ([], "zero samples"), ([0.0, 0.0], "only silence")])
def test_an_engine_with_invalid_samples_is_refused(wave, why):
    class Broken(Synthesizer):
        def synthesize(self, text: str, rate: float) -> np.ndarray:
            return np.array(wave)

    with pytest.raises(CannotSpeak, match=why):
        Broken().speak(TEXT)


def test_a_hibari_voice_that_is_not_here_is_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    with pytest.raises(InserterError, match=r"not on this machine. Save http.* as .*"):
        load_voice(HEART.model_copy(update={"voice": "emma"}))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InserterError, match=r"has no voice 'nobody'.*heart"):
        load_voice(HEART.model_copy(update={"voice": "nobody"}))


def test_an_optional_voice_is_left_out_and_another_one_is_asked_for():
    absent = Voice(name="joe", engine="piper", voice="nowhere.onnx", optional=True)
    found, left_out = usable([HEART, absent])
    assert found == [HEART] and "joe" in left_out
    with pytest.raises(InserterError, match="joe"):
        usable([HEART, absent.model_copy(update={"optional": False})])
    with pytest.raises(InserterError, match="no voice can be used"):
        usable([absent])
    with pytest.raises(InserterError, match="two voices are named heart"):
        usable([HEART, HEART])


@pytest.mark.parametrize("change", [{"rate": 1.1}, {"pitch": 1.1}, {"warp": 1.1}, {"language": "de"}, {"speaker": "other"}])
def test_what_changes_the_samples_changes_a_voices_identity(change):
    assert identity(HEART.model_copy(update=change)) != identity(HEART)


@pytest.mark.parametrize("change", [{"name": "x"}, {"weight": 9.0}, {"license": "x"}, {"optional": True}, {"heldout": True}])
def test_what_does_not_change_the_samples_does_not_change_its_identity(change):
    assert identity(HEART.model_copy(update=change)) == identity(HEART)


@pytest.mark.parametrize(
    "voice",
    [
        HEART,
        Voice(name="a", engine="http", voice="a", model="m"),
        pytest.param(Voice(name="b", engine="flite", voice="slt"), marks=needs("flite")),
    ],
    ids=lambda voice: voice.engine,
)
def test_every_engine_has_an_identity_here(voice):
    assert len(identity(voice)) == 16


def test_many_texts_are_spoken_as_each_alone_and_a_bad_one_stops_nobody():
    for voice in (HEART, HEART.model_copy(update={"pitch": 0.9, "warp": 1.1})):
        speaker = load_voice(voice)
        one, bad, two = speaker.speak_many(["Good morning.", "", "How are you?"])
        assert isinstance(bad, CannotSpeak)
        assert np.array_equal(one, speaker.speak("Good morning.")) and np.array_equal(two, speaker.speak("How are you?"))


@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_warp_changes_neither_pitch_nor_duration(factor):
    plain = load_voice(HEART).speak(TEXT)
    warped = load_voice(HEART.model_copy(update={"warp": factor})).speak(TEXT)
    assert len(warped) == len(plain) and pitch(warped) == pytest.approx(pitch(plain), rel=0.06)
    assert not np.allclose(warped, plain, atol=0.01)


@needs("espeak-ng")
def test_espeak_speaks_at_its_own_rate_and_refuses_unknown_voices():
    voice = Voice(name="scottish", engine="espeak-ng", voice="en-gb-scotland")
    slow, fast = (load_voice(voice.model_copy(update={"rate": rate})).speak(TEXT) for rate in (0.8, 1.25))
    assert len(slow) > 1.3 * len(fast)
    assert "no voice 'nosuch'" in (available(voice.model_copy(update={"voice": "nosuch"})) or "")


@needs("flite")
def test_flite_speaks_at_its_own_rate_and_refuses_unknown_voices():
    voice = Voice(name="slt", engine="flite", voice="slt")
    slow, fast = (load_voice(voice.model_copy(update={"rate": rate})).speak(TEXT) for rate in (0.8, 1.25))
    assert len(slow) > 1.3 * len(fast)
    assert "no voice 'nosuch'" in (available(voice.model_copy(update={"voice": "nosuch"})) or "")


def jobs(count: int) -> list[Job]:
    texts = ["Good morning.", "日本語", "How are you?", "Fine."]
    noise = Effect("babble", 15.0, -3.0)
    return [Job(f"u{i}", "d", "train", texts[i % 4], texts[i % 4], "heart", noise if i % 2 else None) for i in range(count)]


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_driver_gives_the_same_bytes_for_any_number_of_workers_and_after_a_loss(tmp_path):
    def run(name: str, workers: int) -> list[dict]:
        return speak_all(jobs(10), [HEART], tmp_path / name, rows=tmp_path / f"{name}.rows", workers=workers, shard_clips=4)

    rows = run("one", 1)
    assert rows == run("two", 2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert [row["utt_id"] for row in rows] == [f"u{i}" for i in range(10)]

    before = contents(tmp_path / "one")
    made = (tmp_path / "one/shard-00000.tar").stat().st_mtime_ns
    os.truncate(tmp_path / "one/shard-00001.tar", 1000)  # a disk that lied
    (tmp_path / "one.rows/shard-00002.parquet").unlink()  # killed before it was recorded
    assert run("one", 1) == rows
    assert contents(tmp_path / "one") == before
    assert (tmp_path / "one/shard-00000.tar").stat().st_mtime_ns == made


def test_what_cannot_be_spoken_is_a_row_with_an_error_and_the_others_can_be_read(tmp_path):
    rows = speak_all(jobs(8), [HEART], tmp_path / "out", rows=tmp_path / "rows", workers=1, shard_clips=8)
    bad = [row for row in rows if row["error"]]
    assert [row["utt_id"] for row in bad] == ["u1", "u5"]
    assert all(row["shard"] is None and row["duration"] == 0 and "zero samples" in row["error"] for row in bad)
    for row in rows:
        if row["error"] is None:
            assert len(read_clip(tmp_path / "out", row)) == row["n_samples"] > 0


def test_a_job_with_an_unknown_voice_is_refused(tmp_path):
    with pytest.raises(InserterError, match=r"no voice is named ghost. Choose one of: heart"):
        speak_all([Job("u", "d", "train", "a", "a", "ghost")], [HEART], tmp_path / "out", rows=tmp_path / "rows", workers=1)
