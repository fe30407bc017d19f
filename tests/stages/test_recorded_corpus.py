"""Recordings with transcripts as a source: cut at the recogniser's words, verified, held out by speaker."""

import csv
import shutil
from pathlib import Path

import pytest
import soundfile
import yaml
from checkout import ROOT

from inserter.audio.clips import read_clip
from inserter.files import read_jsonl, read_table, write_jsonl
from inserter.params import Source, Voice, load
from inserter.tables import DOCUMENTS, HELDOUT, SEQUENCES, SPANS, UTTERANCES, VERIFIED
from inserter.tts import CannotSpeak, load_voice
from inserter.verification.words import words
from stages.corpus.recordings import transcripts
from stages.corpus.stage import main as corpus
from stages.interleave.stage import main as interleave
from stages.pretrain.stage import main as pretrain
from stages.segment.stage import main as segment
from stages.synthesize.stage import main as synthesize
from stages.verify.stage import main as verify
from stages.warmup.stage import main as warmup

SAID = {
    "ann": [
        "The old mill stood by the river for more than a hundred years. Every morning the miller opened the gates, and the "
        "water began to turn the great wooden wheel.",
        "When the railway came to the valley, the farmers sent their grain to the city. The wheel stood still, and the miller "
        "sold his house to a painter.",
    ],
    "bob": [
        "Our ship left the harbour before the sun had risen. The captain watched the clouds in the west, because the wind had "
        "changed during the night.",
        "By noon the waves were higher than the rail. We tied the barrels to the mast, and nobody spoke until the storm had "
        "passed and the sea was calm again.",
    ],
    "eve": [
        "A good teacher asks more questions than she answers. The children in her class learned to doubt what they read, and "
        "to look for proof in the world around them.",
        "Many years later one of them became a famous doctor. She wrote in her first book that all of her work had begun on a "
        "rainy day in that small school.",
    ],
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """A table of recordings: three speakers, with one file that is missing and one row without a speaker."""
    folder = tmp_path_factory.mktemp("recordings")
    heart = Voice(name="heart", engine="hibari", voice="heart")
    with (folder / "table.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["audio", "text", "speaker", "license"])
        for pitch, (speaker, texts) in zip((0.9, 1.0, 1.1), SAID.items(), strict=True):
            voice = load_voice(heart.model_copy(update={"pitch": pitch}))
            for number, text in enumerate(texts):
                soundfile.write(folder / f"{speaker}-{number}.wav", voice.speak(text), 16_000)
                table.writerow([f"{speaker}-{number}.wav", text, speaker, f"CC-BY-4.0 ({speaker})"])
        table.writerow(["nowhere.wav", "Nothing.", "ann", "CC-BY-4.0 (ann)"])
        table.writerow(["ann-0.wav", "Nobody says this.", "", "CC-BY-4.0 (ann)"])
    return folder


def test_a_bad_row_is_refused_alone_with_its_reason(tmp_path):
    (tmp_path / "a.wav").touch()
    rows = ["a.wav,Hello.,ann", f"{'a' * 400},Hello.,ann", "a.wav,Hello.", ".,Hello.,ann", "a.wav,,ann"]
    (tmp_path / "t.csv").write_text("\n".join(["audio,text,speaker", *rows]))
    source = Source(name="s", kind="recorded", path=str(tmp_path / "t.csv"))
    *refused, kept = transcripts(source)
    assert [row.error for row in refused] == [
        f"no audio: {'a' * 400} is missing",
        "undecodable: 2 cells for 3 columns",
        "no audio: . is missing",
        "no column: text is missing or empty",
    ]
    assert (kept.name, kept.text) == ("ann", "Hello.")


def test_a_voice_of_recordings_cuts_what_was_said_and_refuses_the_rest(recordings, tmp_path):
    table = write_jsonl(tmp_path / "t.jsonl", [{"audio": str(recordings / "bob-0.wav"), "text": SAID["bob"][0]}])
    voice = Voice(name="bob", engine="recorded", voice=str(table), model=load(ROOT / "params.yaml").assets.asr)
    speaker = load_voice(voice)
    whole = soundfile.info(recordings / "bob-0.wav").duration
    assert 1.5 < len(speaker.speak("The captain watched the clouds in the west")) / 16_000 < whole / 2
    with pytest.raises(CannotSpeak, match="no recording has these words"):
        speaker.speak("the captain watched the stars")
    shutil.copy(recordings / "eve-1.wav", tmp_path / "other.wav")  # another recording than the transcript says
    other = write_jsonl(tmp_path / "o.jsonl", [{"audio": str(tmp_path / "other.wav"), "text": SAID["bob"][0]}])
    with pytest.raises(CannotSpeak, match="cannot be aligned"):
        load_voice(voice.model_copy(update={"voice": str(other)})).speak("because the wind had changed during the night.")


def test_recordings_go_through_the_stages_of_synthetic_speech(recordings, tiny_lm, tiny_encoder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text())
    source = {"name": "talks", "kind": "recorded", "path": str(recordings / "table.csv"), "license": "unknown"}
    raw["corpus"] |= {"sources": [source], "words": 400, "min_words": 20, "max_words": 40, "heldout_documents": 2, "workers": 1}
    raw["segment"] |= {"workers": 1, "word_level": 0.0, "context_words": 8, "continuation_words": 8}
    raw["segment"]["sentence"]["share"] = 0.9
    raw["synthesize"] |= {"workers": 1, "voices": raw["synthesize"]["voices"][:1]}
    raw["verify"]["workers"] = 1
    raw["assets"] |= {"lm": str(tiny_lm), "encoder": str(tiny_encoder)}
    raw["warmup"] |= {"steps": 0}
    raw["warmup"]["adapter"]["kind"] = "pooling"
    raw["pretrain"] |= {"steps": 2, "batch_positions": 300, "gap_steps": 2, "precision": "fp32"}
    Path("params.yaml").write_text(yaml.safe_dump(raw))
    write_jsonl("data/benchmark/prompts.jsonl", [{"key": "0", "prompt": "Say yes."}])
    params = load("params.yaml")
    counts = corpus(params)
    refused = [row["reason"] for row in read_jsonl("data/corpus/quarantine.jsonl")]
    assert refused == ["no audio: nowhere.wav is missing", "no column: speaker is missing or empty"]
    documents = {row["doc_id"]: row for row in read_table("data/corpus", DOCUMENTS)}
    speakers = list(read_jsonl("data/corpus/recorded/speakers.jsonl"))
    splits = {row["name"]: {documents[name]["split"] for name in row["documents"]} for row in speakers}
    assert all(len(found) == 1 for found in splits.values()) and {"heldout"} in splits.values(), "no speaker is in both splits"
    assert set(splits) <= {"talks-ann", "talks-bob", "talks-eve"} and len(splits) > 1, counts
    segment(params)
    synthesize(params)
    verify(params)
    spans = read_table("data/segment/spans.parquet", SPANS)
    clips = {row["utt_id"]: row for row in read_table("data/synthesize/utterances.parquet", UTTERANCES)}
    assert set(clips) == {span["utt_id"] for span in spans}
    for row in clips.values():
        speaker = row["voice"].removeprefix("talks-")
        assert row["engine"] == "recorded" and row["license"] == f"CC-BY-4.0 ({speaker})"
        assert splits[row["voice"]] == {row["split"]}
        said = [words(text, "en") for text in SAID[speaker]]
        assert row["error"] or any(" ".join(words(row["spoken"], "en")) in " ".join(text) for text in said)
    clean = read_table("data/verify/clean.parquet", VERIFIED)
    bad = read_table("data/verify/quarantine.parquet", VERIFIED)
    print([(row["spoken"], row["reason"], row["heard"]) for row in bad])
    assert len(clean) + len(bad) == len(clips) and len(clean) >= 0.7 * len(clips)
    assert all(0.5 < len(read_clip("data/synthesize", row)) / 16_000 < 12 for row in clean)

    interleave(params)
    warmup(params)
    report = pretrain(params)
    sequences = read_table("data/interleave/sequences.parquet", SEQUENCES)
    learnt = {part["utt_id"] for row in sequences for part in row["parts"]} - {None}
    assert learnt and learnt <= {row["utt_id"] for row in clean if row["split"] == "train"}
    measured = {row["utt_id"] for row in read_table("data/interleave/heldout.parquet", HELDOUT)}
    assert measured and not {clips[name]["voice"] for name in measured} & {clips[name]["voice"] for name in learnt}
    assert report["clips"] == len(clean) and report["steps"] == 2 and report["continuation"]["heard_own"] > 0, report
