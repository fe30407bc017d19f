"""A bad clip goes to quarantine with the reason that is true of it; a good one never does; none is lost."""

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkout import ROOT
from faults import list_shards
from hypothesis import given
from hypothesis import strategies as st

from inserter.assets import asr_folder
from inserter.audio.clips import SAMPLE_RATE, flac, read_clip_bytes, write_shard
from inserter.audio.effects import NOISES, add_noise
from inserter.errors import InserterError
from inserter.files import read_table, write_table
from inserter.params import Params, Voice, load
from inserter.tables import UTTERANCES, VERIFIED, reason_kind
from inserter.tts import load_voice
from inserter.tts.shaping import change_pitch, change_rate
from inserter.verification.asr import Transcriber
from inserter.verification.norms import Norms
from inserter.verification.packing import PAUSE, join, pack
from inserter.verification.signal import measure
from inserter.verification.words import compare, share_out, share_text, words
from models.windows import WINDOW, cut
from stages.verify.stage import main

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


def wer(said: list[str], heard: list[str]) -> float:
    return compare(said, heard).wer


def speak(text: str) -> np.ndarray:
    return load_voice(HEART).speak(text)


def publish(folder: Path, clips: list[tuple[str, str, np.ndarray | bytes | None]], written: dict[str, str] | None = None) -> None:
    """data/synthesize with clips (utt_id, spoken, wave, or bytes that are no audio, or None: could not be spoken).

    written: the text of a clip by utt_id, where it is not the spoken form.
    """
    data = {name: wave if isinstance(wave, bytes) else flac(wave) for name, _, wave in clips if wave is not None}
    index = write_shard(folder / "shard-00000.tar", data.items())
    rows = []
    for name, spoken, wave in clips:
        offset, size = index.get(name, (0, 0))
        samples = len(wave) if isinstance(wave, np.ndarray) else 16000 if wave else 0
        rows.append(
            {
                "utt_id": name,
                "doc_id": "d",
                "split": "train",
                "language": "en",
                "written": (written or {}).get(name, spoken),
                "spoken": spoken,
                "engine": "hibari",
                "voice": "heart",
                "shard": "shard-00000.tar" if name in index else None,
                "offset": offset,
                "size": size,
                "sample_rate": SAMPLE_RATE,
                "n_samples": samples,
                "duration": samples / SAMPLE_RATE,
                "error": None if name in index else "the engine gave zero samples",
            }
        )
    write_table(folder / "utterances.parquet", rows, UTTERANCES)
    list_shards(folder)


def limited(params: Params, **limits: Any) -> Params:
    return params.model_copy(update={"verify": params.verify.model_copy(update={"workers": 1, **limits})})


def tables() -> list[bytes]:
    return [Path("data/verify", name).read_bytes() for name in ("clean.parquet", "quarantine.parquet", "cuts.jsonl.gz")]


def test_bad_clips_are_quarantined_for_what_is_wrong_with_them_and_good_ones_pass(tmp_path, monkeypatch, params):
    monkeypatch.chdir(tmp_path)
    good = [(f"good{i}", text, speak(text)) for i, text in enumerate(TEXTS)]
    wave = good[0][2]
    gap = np.concatenate([wave[:20000], np.zeros(2 * SAMPLE_RATE, np.float32), wave[20000:]])
    bad = [
        ("wer", TEXTS[1], speak(TEXTS[2])),  # as another clip's text
        ("level", TEXTS[0], wave * 1e-3),
        ("clipping", TEXTS[0], 0.5 * np.clip(wave * 12, -1, 1)),  # and turned down
        ("silence", TEXTS[0], gap),
        ("pace", TEXTS[0] * 3, wave),
        ("dc", TEXTS[0], wave + 0.1),
        ("noise", TEXTS[0], add_noise(wave, -3, "white", rng=np.random.default_rng(0))),
        ("truncated", TEXTS[0], wave[: int(0.75 * len(wave))]),
        ("babble", TEXTS[0], np.concatenate([speak("Good evening to you all."), wave])),
        ("audio", TEXTS[0], b"this is no FLAC"),
        ("synthesis", "日本語", None),
    ]
    publish(Path("data/synthesize"), [*good[:3], *bad, *good[3:]])
    metrics = main(limited(params, max_wer=0.5))
    assert metrics.pop("system") == {"clips_measured": 16, "clips_reused": 0}

    clean = read_table("data/verify/clean.parquet", VERIFIED)
    quarantine = read_table("data/verify/quarantine.parquet", VERIFIED)
    assert [row["utt_id"] for row in clean] == [name for name, _, _ in good]
    assert all(row["reason"] is None and row["wer"] <= 0.1 for row in clean)
    cuts = gzip.decompress(Path("data/verify/cuts.jsonl.gz").read_bytes()).splitlines()
    for row, line in zip(clean, cuts, strict=True):
        cut = json.loads(line)
        (source,) = cut["recording"]["sources"]
        assert cut["id"] == row["utt_id"] and cut["supervisions"][0]["text"] == row["written"]
        assert subprocess.check_output(source["source"], shell=True) == read_clip_bytes("data/synthesize", row)
    assert {row["utt_id"]: reason_kind(row["reason"]) for row in quarantine} == {name: name for name, _, _ in bad}
    assert metrics["in"] == 16 == metrics["clean"] + sum(metrics["quarantined"].values())
    assert metrics["quarantine_share"] == pytest.approx(11 / 16) == metrics["voices"]["heart"]["quarantine_share"]
    assert metrics["hours_clean"] == pytest.approx(sum(len(wave) for _, _, wave in good) / SAMPLE_RATE / 3600)
    reasons = {row["utt_id"]: row["reason"] for row in quarantine}
    assert "> 0.5" in reasons["wer"] and "zero samples" in reasons["synthesis"]

    blocks = {path: path.stat().st_mtime_ns for path in Path(".work/verify").glob("*/blocks/*.parquet")}
    before = tables()
    again = main(limited(params, max_wer=0.5))
    assert again.pop("system") == {"clips_measured": 0, "clips_reused": 16}
    assert json.dumps(again) == json.dumps(metrics)
    assert tables() == before
    strict = main(limited(params, max_wer=0.0, max_pace=12.0))  # judged anew, heard by nobody
    assert strict["clean"] < metrics["clean"] and strict["in"] == 16
    assert {path: path.stat().st_mtime_ns for path in blocks} == blocks and blocks


def test_a_wrong_reading_is_quarantined_though_it_is_spoken_as_it_was_to_be(tmp_path, monkeypatch, params):
    """The voice says the wrong form word for word, so the word error rate is 0; what the recogniser writes gives it away."""
    monkeypatch.chdir(tmp_path)
    texts = {  # name: written, spoken
        "letter": ("Please send us Schedule D before the winter.", "Please send us schedule five hundred before the winter."),
        "scale": ("They need a £7m loan to build the bridge.", "They need a seven meters pounds loan to build the bridge."),
        "decimal": ("The jar holds 0.125 liters of oil at most.", "The jar holds one hundred twenty-five liters of oil at most."),
        "money": ("The bridge will cost the town $35 million.", "The bridge will cost the town thirty-five million dollars."),
        "year": ("He came to live in this town in 1987.", "He came to live in this town in nineteen eighty-seven."),
        "plain": (TEXTS[3], TEXTS[3]),
    }
    clips = [(name, spoken, speak(spoken)) for name, (_, spoken) in texts.items()]
    publish(Path("data/synthesize"), clips, {name: written for name, (written, _) in texts.items()})
    metrics = main(limited(params))
    clean = {row["utt_id"]: row for row in read_table("data/verify/clean.parquet", VERIFIED)}
    reasons = {row["utt_id"]: row["reason"] for row in read_table("data/verify/quarantine.parquet", VERIFIED)}
    assert set(clean) == {"money", "year", "plain"}
    assert {reason_kind(reason) for reason in reasons.values()} == {"reading"} and "500 is heard" in reasons["letter"]
    assert metrics["readings_checked"] == 5 and metrics["quarantined"] == {"reading": 3}
    assert "million" in clean["money"]["wrote"].casefold() and clean["plain"]["wrote"] is None


def test_a_damaged_shard_is_named(tmp_path, monkeypatch, params):
    monkeypatch.chdir(tmp_path)
    publish(Path("data/synthesize"), [("a", TEXTS[0], speak(TEXTS[0]))])
    shard = Path("data/synthesize/shard-00000.tar")
    shard.write_bytes(shard.read_bytes().replace(b"a.flac", b"b.flac"))
    with pytest.raises(InserterError, match=r"shard-00000\.tar is damaged"):
        main(limited(params))
    assert not Path("data/verify").exists()


def test_another_language_is_refused_before_it_is_misheard(tmp_path, monkeypatch, params):
    monkeypatch.chdir(tmp_path)
    publish(Path("data/synthesize"), [("a", TEXTS[0], speak(TEXTS[0]))])
    rows = read_table("data/synthesize/utterances.parquet", UTTERANCES)
    write_table("data/synthesize/utterances.parquet", [row | {"language": "zh"} for row in rows], UTTERANCES)
    with pytest.raises(InserterError, match="knows English only"):
        main(limited(params))


def test_augmented_speech_is_still_understood(transcriber):
    """Its words survive what `augment` does at the strengths that the pipeline uses."""
    rng = np.random.default_rng(0)
    changes = [lambda wave, kind=kind: add_noise(wave, 15, kind, rng=rng) for kind in NOISES]
    changes += [lambda wave, f=f: change_rate(wave, f) for f in (0.85, 1.2)]
    changes += [lambda wave, f=f: change_pitch(wave, f) for f in (0.88, 1.12)]
    waves = [change(speak(TEXTS[i % 4])) for i, change in enumerate(changes)]
    windows = [[waves[i] for i in window] for window in pack([len(wave) for wave in waves])]
    texts = [[TEXTS[i % 4] for i in window] for window in pack([len(wave) for wave in waves])]
    heard = transcriber.transcribe([join(window) for window in windows])
    for window, text in zip(texts, heard, strict=True):
        assert wer([w for spoken in window for w in words(spoken, "en")], words(text, "en")) < 0.1


def test_a_clip_longer_than_a_window_is_heard_to_its_end(transcriber):
    texts = TEXTS * 2
    wave = np.concatenate([speak(text) for text in texts])
    assert len(wave) > WINDOW
    reference = [word for text in texts for word in words(text, "en")]
    assert wer(reference, words(transcriber.transcribe_alone(wave), "en")) < 0.1


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
    assert wer(words(said, "en"), words(heard, "en")) == pytest.approx(rate)


def test_what_a_recogniser_writes_need_not_be_readable():
    assert compare(words("so it is", "en"), words("so ⊕ it is", "en")).wer == 0
    assert compare(words("it is less", "en"), words("it ∮ less so", "en")).wer > 0


def test_chinese_is_compared_by_characters():
    assert words("他有3只猫。", "zh") == ["他", "有", "三", "只", "猫"]
    assert wer(words("他有3只猫。", "zh"), words("他有三只狗", "zh")) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("said", "heard", "extra", "ending"),
    [
        ("we serve the people", "we serve the people", 0, 1.0),
        ("we serve the people", "good evening we serve the people", 2, 1.0),
        ("we serve the people", "we serve we serve the people", 2, 1.0),
        ("we serve the people", "we serve the people thank you", 2, 1.0),  # babble, and not cut off
        ("we serve the people", "we serve the", 0, 0.0),
        ("we serve the people", "we serve the pupil", 0, 0.33),
        ("visit tippecanoe", "visit tip a canoe", 0, 0.8),  # another spelling is no extra word
        ("nothing more than that a", "nothing more than that", 0, 0.0),  # a short word too: two recognisers seldom both drop it
    ],
)
def test_extra_words_and_the_ending(said, heard, extra, ending):
    found = compare(said.split(), heard.split())
    assert found.extra == extra
    assert found.ending == pytest.approx(ending, abs=0.05)


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abcd")))
def test_whatever_is_heard_the_figures_are_in_range(said, heard):
    found = compare(said, heard)
    assert found.wer >= 0 and 0 <= found.extra <= len(heard) and 0 <= found.ending <= 1
    assert (found.wer == 0) == ("".join(said) == "".join(heard)) or found.wer == 0


def test_words_heard_together_are_shared_out_to_their_clips():
    clips = [["a", "b"], ["c", "d"], ["e"]]
    assert share_out(clips, ["a", "x", "c", "d", "e"]) == ([["a", "x"], ["c", "d"], ["e"]], [0, 0, 0])
    assert share_out(clips, ["c", "d", "e"])[0] == [[], ["c", "d"], ["e"]]
    assert share_out(clips, [])[0] == [[], [], []]
    assert share_out([], ["a"]) == ([], [])
    # x and y may also be a prompt before the second clip: it is told so
    assert share_out(clips, ["a", "b", "x", "y", "c", "d", "e"]) == ([["a", "b", "x", "y"], ["c", "d"], ["e"]], [0, 2, 0])


@pytest.mark.parametrize(
    ("text", "counts", "language", "pieces"),
    [
        ("He came in 1987. It cost $35 million.", [5, 6], "en", ["He came in 1987.", "It cost $35 million."]),
        (" In 1987, he left", [0, 3, 2], "en", ["", "In 1987,", "he left"]),
        ("3.5% of all. That is it.", [6, 0, 3], "en", ["3.5% of all.", "", "That is it."]),
        ("他有5本书。我有6本。", [5, 4], "zh", ["他有5本书。", "我有6本。"]),
        ("", [0, 0], "en", ["", ""]),
        ("One clip", [2], "en", ["One clip"]),
    ],
)
def test_the_text_of_several_clips_is_parted_where_their_words_are(text, counts, language, pieces):
    assert share_text(text, counts, language) == pieces


def tone(seconds: float, amplitude: float = 0.5) -> np.ndarray:
    return (amplitude * np.sin(np.arange(int(seconds * SAMPLE_RATE)) / 10)).astype(np.float32)


def quiet(seconds: float) -> np.ndarray:
    return 1e-4 * np.random.default_rng(0).standard_normal(int(seconds * SAMPLE_RATE)).astype(np.float32)


def test_the_samples_give_the_measurements():
    wave = np.concatenate([tone(1), quiet(0.5), tone(1), quiet(0.25)])
    found = measure(wave)
    assert found.silence == pytest.approx(0.5, abs=0.02)
    assert found.clipping == 0.0 and abs(found.dc) < 1e-3
    assert found.level_db == pytest.approx(-10.4, abs=0.1)
    assert found.snr_db > 50 and found.tail_db < -50
    assert measure(wave + 0.2).dc == pytest.approx(0.2, abs=1e-3)
    assert measure(wave + 0.2).silence == found.silence  # an offset hides no silence
    assert measure(wave[: SAMPLE_RATE * 2]).tail_db > -10  # cut off in mid-sound
    assert measure(0.3 * np.clip(3 * wave, -1, 1)).clipping > 0.1  # clipped, then turned down
    assert measure(add_noise(wave, 5, "white", rng=np.random.default_rng(0))).snr_db < 12
    noisy = measure(add_noise(wave, 15, "white", rng=np.random.default_rng(0)))
    assert noisy.silence == pytest.approx(0.5, abs=0.05) and noisy.tail_db < -30  # dead air, and an end, under noise


@pytest.mark.parametrize("wave", [*(np.zeros(n, np.float32) for n in (1, 100, SAMPLE_RATE)), tone(0.005)])
def test_silent_and_tiny_clips_have_figures_too(wave):
    found = measure(wave)
    assert all(np.isfinite(found)) and found.clipping == 0.0
    assert found.level_db == -120 or wave.any()


def spoken_row(number: int, voice: str, seconds_a_letter: float, jitter: float = 0.0) -> dict:
    text = "go on, then. " * (1 + number % 7)
    letters = sum(map(str.isalnum, text))
    wobble = 1 + jitter * ((number * 37) % 11 - 5) / 5
    heard = {"wer": 0.0, "extra": 0, "ending": 1.0, "second_wer": None, "duration_z": None, "reason": None}
    return {
        "utt_id": f"{voice}{number}",
        "voice": voice,
        "split": "train",
        "language": "en",
        "spoken": text,
        **heard,
        "duration": (0.3 + seconds_a_letter * letters) * wobble,
    }


def test_a_duration_is_judged_by_what_its_voice_does():
    rows = [spoken_row(n, "slow", 0.12, 0.05) for n in range(200)] + [spoken_row(n, "fast", 0.06, 0.05) for n in range(200)]
    for row in rows[:20]:
        row["duration"] *= 3  # a tenth of the voice's clips is broken
    norms = Norms()
    norms.learn(rows)
    for row in (rows[30], rows[230]):
        assert abs(norms.z(row)) < 3
    assert norms.z(rows[5]) > 5
    assert norms.z(rows[230] | {"voice": "slow"}) < -5
    assert norms.z(rows[230] | {"voice": "new"}) is not None  # by all voices of its language
    assert norms.z(rows[230] | {"voice": "new", "language": "fr"}) is None  # nothing to learn from


def test_lists_of_words_are_judged_by_lists():
    """They are read slower; a list that takes as long as running text of its letters is short, and the other way round."""
    text = [spoken_row(n, "v", 0.06, 0.05) for n in range(100)]
    lists = [spoken_row(n, "v", 0.15, 0.05) | {"utt_id": f"l{n}", "split": "lexicon"} for n in range(100)]
    norms, alone = Norms(), Norms()
    norms.learn([*text, *lists])
    alone.learn(text)
    assert norms.z(text[5]) == alone.z(text[5]) and abs(norms.z(lists[5])) < 3
    assert norms.z(lists[6] | {"split": "train"}) > 5 and norms.z(text[6] | {"split": "lexicon"}) < -5


def test_equal_durations_and_the_order_of_rows_do_no_harm():
    rows = [spoken_row(3, "robot", 0.1) | {"utt_id": str(n)} for n in range(60)]
    norms, reverse = Norms(), Norms()
    norms.learn(rows)
    reverse.learn(rows[::-1])
    assert norms.z(rows[0]) == pytest.approx(0.0, abs=1e-6) == reverse.z(rows[0])
    assert norms.z(rows[0] | {"duration": 2 * rows[0]["duration"]}) > 5


def test_an_english_recogniser_refuses_another_language():
    """It would answer with English words, and every clip would look badly spoken."""
    with pytest.raises(InserterError, match="knows English only"):
        Transcriber(asr_folder(load().assets.asr), "zh")
