"""A bad clip goes to quarantine with the reason that is true of it; a good one never does; none is lost."""

import json
from pathlib import Path

import numpy as np
import pytest

from stages.common.asr import WINDOW, Transcriber, cut
from stages.common.assets import asr_folder
from stages.common.audio import SAMPLE_RATE, flac, write_shard
from stages.common.augment import NOISES, add_noise, change_pitch, change_rate
from stages.common.errors import InserterError
from stages.common.files import read_table, write_table
from stages.common.params import Params, Voice, load
from stages.common.tables import UTTERANCES, VERIFIED
from stages.common.tts import load_voice
from stages.verify.check import kind
from stages.verify.packing import PAUSE, join, pack
from stages.verify.signal import clipping, level_db, longest_silence
from stages.verify.stage import main
from stages.verify.words import share_out, word_error_rate, words

ROOT = Path(__file__).resolve().parents[2]
TEXTS = [
    "The Secretary of the Treasury has laid before you a full report.",
    "It is with great pleasure that I address the Congress once again.",
    "Our relations with foreign nations continue to be friendly and peaceful.",
    "The people of this country need good roads, good schools and good work.",
    "The army had sixty thousand men, and they were glad to be at home again.",
]
HEART = Voice(name="heart", engine="hibari", voice="heart")


@pytest.fixture(scope="module")
def params() -> Params:
    return load(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def transcriber(params) -> Transcriber:
    return Transcriber(asr_folder(params.assets.asr), "en")


def speak(text: str) -> np.ndarray:
    return load_voice(HEART).speak(text)


def publish(folder: Path, clips: list[tuple[str, str, np.ndarray | bytes | None]]) -> None:
    """data/synthesize with clips (utt_id, spoken, wave, or bytes that are no audio, or None: could not be spoken)."""
    data = {name: wave if isinstance(wave, bytes) else flac(wave) for name, _, wave in clips if wave is not None}
    index = write_shard(folder / "shard-00000.tar", data.items())
    rows = []
    for name, spoken, wave in clips:
        offset, size = index.get(name, (0, 0))
        samples = len(wave) if isinstance(wave, np.ndarray) else 16000 if wave else 0
        rows.append({
            "utt_id": name, "doc_id": "d", "split": "train", "written": spoken, "spoken": spoken, "engine": "hibari",
            "voice": "heart", "shard": "shard-00000.tar" if name in index else None, "offset": offset, "size": size,
            "sample_rate": SAMPLE_RATE, "n_samples": samples, "duration": samples / SAMPLE_RATE,
            "error": None if name in index else "the engine gave zero samples",
        })  # fmt: skip
    write_table(folder / "utterances.parquet", rows, UTTERANCES)


def test_bad_clips_are_quarantined_for_what_is_wrong_with_them_and_good_ones_pass(tmp_path, monkeypatch, params):
    monkeypatch.chdir(tmp_path)
    good = [(f"good{i}", text, speak(text)) for i, text in enumerate(TEXTS)]
    wave = good[0][2]
    gap = np.concatenate([wave[:20000], np.zeros(2 * SAMPLE_RATE, np.float32), wave[20000:]])
    bad = [
        ("wer", TEXTS[1], speak(TEXTS[2])),  # as another clip's text
        ("level", TEXTS[0], wave * 1e-3),
        ("clipping", TEXTS[0], np.clip(wave * 12, -1, 1)),
        ("silence", TEXTS[0], gap),
        ("pace", TEXTS[0] * 3, wave),
        ("audio", TEXTS[0], b"this is no FLAC"),
        ("synthesis", "日本語", None),
    ]
    publish(Path("data/synthesize"), [*good[:3], *bad, *good[3:]])
    one = params.model_copy(update={"verify": params.verify.model_copy(update={"workers": 1})})
    metrics = main(one)

    clean = read_table("data/verify/clean.parquet", VERIFIED)
    quarantine = read_table("data/verify/quarantine.parquet", VERIFIED)
    assert [row["utt_id"] for row in clean] == [name for name, _, _ in good]
    assert all(row["reason"] is None and row["wer"] <= 0.1 for row in clean)
    assert {row["utt_id"]: kind(row["reason"]) for row in quarantine} == {name: name for name, _, _ in bad}
    assert metrics["in"] == 12 == metrics["clean"] + sum(metrics["quarantined"].values())
    assert metrics["quarantine_share"] == pytest.approx(7 / 12)
    assert metrics["hours_clean"] == pytest.approx(sum(len(wave) for _, _, wave in good) / SAMPLE_RATE / 3600)
    reasons = {row["utt_id"]: row["reason"] for row in quarantine}
    assert f"> {params.verify.max_wer}" in reasons["wer"] and "zero samples" in reasons["synthesis"]

    blocks = {path: path.stat().st_mtime_ns for path in Path(".work/verify").glob("*/blocks/*.parquet")}
    tables = [Path("data/verify", name).read_bytes() for name in ("clean.parquet", "quarantine.parquet")]
    assert json.dumps(main(one)) == json.dumps(metrics)
    assert {path: path.stat().st_mtime_ns for path in blocks} == blocks and blocks
    assert [Path("data/verify", name).read_bytes() for name in ("clean.parquet", "quarantine.parquet")] == tables


def test_augmented_speech_is_still_understood(transcriber):
    """Its words survive what `augment` does at the strengths that the pipeline uses."""
    rng = np.random.default_rng(0)
    changes = [lambda wave, kind=kind: add_noise(wave, 15, kind, rng) for kind in NOISES]
    changes += [lambda wave, f=f: change_rate(wave, f) for f in (0.85, 1.2)]
    changes += [lambda wave, f=f: change_pitch(wave, f) for f in (0.88, 1.12)]
    waves = [change(speak(TEXTS[i % 4])) for i, change in enumerate(changes)]
    windows = [[waves[i] for i in window] for window in pack([len(wave) for wave in waves])]
    texts = [[TEXTS[i % 4] for i in window] for window in pack([len(wave) for wave in waves])]
    heard = transcriber.transcribe([join(window) for window in windows])
    for window, text in zip(texts, heard, strict=True):
        assert word_error_rate([w for spoken in window for w in words(spoken)], words(text)) < 0.1


def test_a_clip_longer_than_a_window_is_heard_to_its_end(transcriber):
    texts = TEXTS * 2
    wave = np.concatenate([speak(text) for text in texts])
    assert len(wave) > WINDOW
    reference = [word for text in texts for word in words(text)]
    assert word_error_rate(reference, words(transcriber.transcribe_alone(wave))) < 0.1


def test_cut_loses_no_sample_and_cuts_in_the_pause():
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, 70 * SAMPLE_RATE).astype(np.float32)
    wave[25 * SAMPLE_RATE : 26 * SAMPLE_RATE] = 0
    pieces = cut(wave)
    assert np.array_equal(np.concatenate(pieces), wave)
    assert all(len(piece) <= WINDOW for piece in pieces)
    assert 25 < len(pieces[0]) / SAMPLE_RATE < 26


def test_every_clip_is_in_one_window_that_it_fits():
    lengths = [int(seconds * SAMPLE_RATE) for seconds in np.random.default_rng(0).uniform(0.5, 31, 300)]
    windows = pack(lengths)
    packed = sorted(index for window in windows for index in window)
    assert packed == [index for index, length in enumerate(lengths) if length <= WINDOW]
    for window in windows:
        assert sum(lengths[i] for i in window) + PAUSE * (len(window) - 1) <= WINDOW
        assert len(join([np.zeros(lengths[i], np.float32) for i in window])) <= WINDOW


@pytest.mark.parametrize(
    ("said", "heard", "rate"),
    [
        ("It cost five dollars.", "it cost $5", 0.0),
        ("to-day we go", "Today, we go.", 0.0),
        ("one two three four", "one three four", 0.25),
        ("one two three four", "one two three four five six", 0.5),
        ("one two", "", 1.0),
        ("", "", 0.0),
        ("", "noise", 1.0),
    ],
)
def test_word_error_rate(said, heard, rate):
    assert word_error_rate(words(said), words(heard)) == pytest.approx(rate)


def test_words_heard_together_are_shared_out_to_their_clips():
    clips = [["a", "b"], ["c", "d"], ["e"]]
    assert share_out(clips, ["a", "x", "c", "d", "e"]) == [["a", "x"], ["c", "d"], ["e"]]
    assert share_out(clips, ["c", "d", "e"]) == [[], ["c", "d"], ["e"]]
    assert share_out(clips, []) == [[], [], []]
    assert share_out([], ["a"]) == []


def test_level_clipping_and_silence_are_measured():
    tone = np.sin(np.arange(SAMPLE_RATE) / 10).astype(np.float32)
    assert level_db(tone) == pytest.approx(-3.01, abs=0.05)
    assert level_db(np.zeros(100, np.float32)) == -120
    assert clipping(np.array([1.0, -1.0, 0.5, 0.0], np.float32)) == 0.5
    hole = np.concatenate([tone, np.zeros(SAMPLE_RATE // 2, np.float32), tone, np.zeros(SAMPLE_RATE // 4, np.float32)])
    assert longest_silence(hole) == pytest.approx(0.5, abs=0.02)
    assert longest_silence(tone) == 0.0


def test_an_english_recogniser_refuses_another_language():
    """It would answer with English words, and every clip would look badly spoken."""
    with pytest.raises(InserterError, match="knows English only"):
        Transcriber(asr_folder(load().assets.asr), "zh")
