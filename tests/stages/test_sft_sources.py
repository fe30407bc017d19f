"""Conversations of one's own for fine-tuning: forms of rows, what is learnt, and what is refused, with its reason."""

import io
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml
from training_runs import workspace

from inserter.audio.clips import read_clip
from inserter.errors import InserterError
from inserter.files import read_json, read_table, write_json, write_jsonl
from inserter.params import SftSource, load
from inserter.params.whole import checked
from inserter.scoring.recordfiles import Refused
from inserter.tables import DIALOGUES, UTTERANCES
from inserter.training.examples import chat_example, dialogue_examples
from inserter.tts import load_voice
from models import InserterProcessor
from stages.check.stage import check
from stages.sft.conversations import Piece, conversation
from stages.sft.rows import Row, rows, wave_of
from stages.sft.stage import main

ASKED = "Describe how the clockmaker of the harbour town mends a broken bell."  # the benchmark's


def turns(*contents: object) -> list[dict]:
    return [{"role": ("user", "assistant")[at % 2], "content": content} for at, content in enumerate(contents)]


def tone(seconds: float = 0.5) -> np.ndarray:
    return 0.3 * np.sin(np.arange(int(16_000 * seconds)) / 9).astype(np.float32)


def wav(wave: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, 16_000, format="WAV")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": turns("Hi.", "Hello. ")}, [["Hi."], ["Hello."]]),
        ({"messages": turns("<audio>Who is it?", "A man."), "audios": ["a.wav"]}, [[("", "a.wav"), "Who is it?"], ["A man."]]),
        (
            {
                "conversations": [{"from": "human", "value": "<audio>"}, {"from": "gpt", "value": "An <audio> tag."}],
                "audio": {"bytes": b"x", "path": None},
                "transcripts": ["So?"],
                "system": "Be kind.",
            },
            [["Be kind."], [("So?", {"bytes": b"x", "path": None})], ["An <audio> tag."]],
        ),
        (
            {
                "messages": json.dumps(
                    turns(
                        [{"type": "audio", "audio": "b.wav"}, {"type": "text", "text": " Why?"}], [{"type": "text", "text": "So."}]
                    )
                )
            },
            [[("", "b.wav"), " Why?"], ["So."]],
        ),
    ],
)
def test_the_forms_of_the_field_are_read(row, said):
    wanted = [[Piece(one) if isinstance(one, str) else Piece(*one) for one in pieces] for pieces in said]
    assert [turn.pieces for turn in conversation(row)] == wanted


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (7, "no conversation: the row is not an object"),
        ({"text": "so"}, "no conversation: neither messages nor conversations among text"),
        ({"messages": "[{"}, "no conversation: its messages are not JSON"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "wrong roles: turn 1 is of 'tool'"),
        ({"messages": turns("a", "b", "c")}, "wrong roles: the turns are of user, assistant, user"),
        ({"messages": turns("a", "b")[::-1]}, "wrong roles"),
        ({"messages": turns("a", " ")}, "empty answer: turn 2"),
        ({"messages": turns("", "b")}, "empty turn: turn 1, of user"),
        ({"messages": turns("<audio><audio>", "b"), "audios": ["a.wav"]}, "placeholders: 2 placeholders for 1 audios"),
        ({"messages": turns("a", "b"), "audios": ["a.wav"]}, "placeholders: 0 placeholders for 1 audios"),
        ({"messages": turns([{"type": "image"}], "b")}, "wrong content: turn 1, of user"),
        ({"messages": turns("a", "\ud800")}, "wrong content: 'utf-8'"),
    ],
)
def test_a_row_that_is_no_conversation_is_refused_with_the_reason(row, reason):
    with pytest.raises(Refused) as refused:
        conversation(row)
    assert str(refused.value).startswith(reason)


def test_audio_comes_as_a_path_bytes_or_samples_and_never_from_outside_a_data_set_of_others(tmp_path):
    wave = tone()
    (tmp_path / "a.wav").write_bytes(wav(wave))
    own = Row("r", {}, str(tmp_path / "link" / "t.jsonl"))  # a working copy links the table alone
    (tmp_path / "t.jsonl").touch()
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / "t.jsonl").symlink_to(tmp_path / "t.jsonl")
    for audio in ("a.wav", str(tmp_path / "a.wav"), wav(wave), {"bytes": wav(wave), "path": "x"}, {"path": "a.wav", "bytes": None}):
        assert np.allclose(wave_of(audio, own), wave, atol=1e-4)
    assert len(wave_of({"array": wave[::2].tolist(), "sampling_rate": 8_000}, own)) == len(wave)
    (tmp_path / "set").mkdir()
    others = Row("r", {}, folder=str(tmp_path / "set"))
    for audio, row, reason in (
        ("b.wav", own, "audio missing"),
        (b"no sound", own, "audio undecodable"),
        (None, own, "audio missing"),
        ({"path": {"path": "a.wav"}}, own, "audio missing"),
        ({"bytes": {"bytes": 1}}, own, "audio missing"),
        ("../a.wav", others, "audio missing: ../a.wav is not part of the data set"),
        ("a.wav", Row("r", {}), "audio missing"),
        ("a\0.wav", others, "audio missing"),
        ("a" * 300, own, "audio undecodable"),
    ):
        with pytest.raises(Refused, match=reason):
            wave_of(audio, row)


def test_rows_come_from_json_lines_arrays_parquet_and_the_hubs_form(tmp_path):
    row = {"messages": turns("<audio>", "b"), "audios": [{"bytes": wav(tone()), "path": "a.wav"}]}
    text = {"messages": turns("a", "b")}
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(text)}\nnot json\n{json.dumps(text)}\n")
    (tmp_path / "b.json").write_text(json.dumps([text, text], indent=1))
    from datasets import Audio, Features, List, Value

    features = Features({"messages": [{"role": Value("string"), "content": Value("string")}], "audios": List(Audio())})
    (tmp_path / "hub/data").mkdir(parents=True)
    hub = tmp_path / "hub/data/train-00000-of-00001.parquet"
    pq.write_table(pa.Table.from_pylist([row, row], schema=features.arrow_schema), hub)
    shutil.copy(hub, tmp_path / "c.parquet")
    (tmp_path / "d.parquet").write_bytes(hub.read_bytes()[:-50])
    local = list(rows(SftSource(name="s", kind="local", path=str(tmp_path / "*.*"))))
    local = pickle.loads(pickle.dumps(local))  # workers get them
    assert [one.place for one in local] == [
        *("a.jsonl:1", "a.jsonl:2", "a.jsonl:3", "b.json:1", "b.json:2"),
        *("c.parquet:1", "c.parquet:2", "d.parquet:1"),
    ]
    assert [one.value.reason for one in local if isinstance(one.value, Refused)] == ["not JSON", "unreadable file"]
    (far,) = rows(SftSource(name="s", kind="hub", path=str(tmp_path / "hub"), limit=1))
    for one in (local[5], far):
        assert wave_of(conversation(one.value)[0].pieces[0].audio, one).shape == (8_000,)
    with pytest.raises(InserterError, match="source s: no rows at nowhere"):
        list(rows(SftSource(name="s", kind="local", path="nowhere")))


def part(text: str, utt_id: str | None = None, loss: bool = False) -> dict:
    return {"text": text, "utt_id": utt_id, "loss": loss}


DIALOGUE = [
    {"role": "system", "parts": [part("Be brief.")]},
    {"role": "user", "parts": [part("who", "u0"), part(" Who is it?")]},
    {"role": "assistant", "parts": [part("A man.", loss=True)]},
    {"role": "user", "parts": [part("why", "u1")]},
    {"role": "assistant", "parts": [part("He sings.", loss=True)]},
]
LATEST = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}{{ '(said) ' if m['role'] == 'assistant' }}"
    "{{ m['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def test_every_answer_of_a_conversation_and_its_end_is_learnt(tiny_model):
    processor = InserterProcessor.from_pretrained(tiny_model)
    (item,) = dialogue_examples(processor, DIALOGUE)
    decode = processor.tokenizer.decode
    span = decode(processor.span_ids)
    assert decode(item.ids) == (
        f"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n{span} Who is it?<|im_end|>\n<|im_start|>assistant\n"
        f"A man.<|im_end|>\n<|im_start|>user\n{span}<|im_end|>\n<|im_start|>assistant\nHe sings.<|im_end|>"
    )
    learnt = [token for token, label in zip(item.ids, item.labels, strict=True) if label != -100]
    assert decode(learnt) == "A man.<|im_end|>He sings.<|im_end|>" and item.clips == ("u0", "u1")
    (one,) = dialogue_examples(processor, DIALOGUE[1:3])
    assert one.labels[-len(processor.answer("A man.")) :] == tuple(processor.answer("A man."))
    pair = [{"role": "user", "parts": [part("Say yes.", "u")]}, DIALOGUE[2]]
    assert dialogue_examples(processor, pair) == [chat_example(processor, "Say yes.", "A man.", utt_id="u")]
    processor.tokenizer.chat_template = LATEST  # earlier answers look otherwise than when they were given
    first, second = dialogue_examples(processor, DIALOGUE)
    assert (first.clips, second.clips) == (("u0",), ("u0", "u1")) and "(said) A man." in decode(second.ids)
    assert decode([t for t, label in zip(second.ids, second.labels, strict=True) if label != -100]) == "He sings.<|im_end|>"


def test_prompts_may_be_left_out_only_beside_sources(tmp_path):
    raw = yaml.safe_load(Path("params.yaml").read_text())
    raw["sft"]["prompts"] = 0
    with pytest.raises(InserterError, match="prompts: 0 needs sources"):
        checked(raw, "params.yaml")
    raw["sft"]["sources"] = [{"name": "a/b", "kind": "local", "path": "x"}]
    with pytest.raises(InserterError, match=r"sft\.sources\.0\.name"):
        checked(raw, "params.yaml")


@pytest.fixture
def own(tiny_lm, tiny_encoder, tiny_model, tmp_path, monkeypatch):
    """A workspace whose fine-tuning has two sources, with good and bad rows, and no generated prompts."""
    place = workspace(tmp_path / "own", tiny_lm, tiny_encoder)
    shutil.copytree(tiny_model, place / "data/pretrain/model")
    raw = yaml.safe_load((place / "params.yaml").read_text())
    raw["synthesize"] |= {"workers": 1, "voices": raw["synthesize"]["voices"][:1]}
    raw["verify"]["workers"] = 1
    raw["check"]["max_quarantined_dialogues"] = 0.7
    raw["sft"] |= {"prompts": 0, "steps": 2, "batch_positions": 100, "precision": "fp32"}
    raw["sft"]["sources"] = [
        {"name": "talks", "kind": "local", "path": "mine/talks.jsonl", "form": "both", "license": "CC0-1.0"},
        {"name": "texts", "kind": "local", "path": "mine/texts.json", "form": "heard", "weight": 2.0},
    ]
    (place / "params.yaml").write_text(yaml.safe_dump(raw))
    monkeypatch.chdir(place)
    voice = load_voice(load("params.yaml").synthesize.voices[0])
    Path("mine").mkdir()
    for name, text in (("who", "Who wrote this letter?"), ("held", ASKED)):
        Path(f"mine/{name}.wav").write_bytes(wav(voice.speak(text)))
    Path("mine/bad.wav").write_bytes(b"RIFF")
    talk = {"messages": turns("<audio>", "A friend.", "And <audio>", "No."), "audios": ["who.wav", "who.wav"]}
    write_jsonl(
        "mine/talks.jsonl",
        [
            talk,
            talk | {"transcripts": ["Who wrote this letter?", "Who wrote it?"]},
            {"messages": turns("<audio>", "x"), "audios": ["nowhere.wav"]},
            {"messages": turns("<audio>", "x"), "audios": ["bad.wav"]},
            {"messages": turns("<audio>", "x"), "audios": ["held.wav"]},
            {"messages": turns("<audio>", "x" * 9_000), "audios": ["who.wav"]},
        ],
    )
    texts = [{"from": "human", "value": "Name three rivers of Europe."}, {"from": "gpt", "value": "The Rhine."}]
    unread = [{"from": "human", "value": "What is p ⊕ q?"}, texts[1]]
    Path("mine/texts.json").write_text(json.dumps([{"conversations": of} for of in (texts, unread, texts)]))
    write_jsonl("data/benchmark/prompts.jsonl", [{"key": "0", "prompt": ASKED}])
    return place


def test_conversations_are_learnt_from_and_bad_rows_are_quarantined_alone(own):
    report = main(load("params.yaml"))
    write_json("reports/sft.json", report)
    made = read_table("data/sft/dialogues/dialogues.parquet", DIALOGUES)
    assert [(row["dialogue_id"], row["forms"]) for row in made] == [
        ("talks-0000001", ["heard"]),
        ("talks-0000002", ["heard", "read"]),
        ("texts-0000001", ["heard"]),
        ("texts-0000003", ["heard"]),
    ]
    assert report["sources"]["talks"] == {
        "rows": 6,
        "kept": 2,
        "heard": 2,
        "read": 1,
        "dropped": {"audio missing": 1, "audio undecodable": 1, "overlaps the benchmark": 1, "too long": 1},
    }
    assert report["sources"]["texts"]["dropped"] == {"cannot be spoken": 1}
    refused = {row["place"]: row["reason"] for row in read_table("data/sft/dialogues/quarantine.parquet", DIALOGUES)}
    assert "talks.jsonl:3" in refused and refused["talks.jsonl:3"].startswith("audio missing: nowhere.wav")
    assert "letter" in made[0]["turns"][0]["parts"][0]["text"], "the recogniser's words, for lack of a transcript"
    clips = {row["utt_id"]: row for row in read_table("data/sft/dialogues/recorded/clips.parquet", UTTERANCES)}
    clip = clips["talks-0000001-1"]
    wave = soundfile.read("mine/who.wav", dtype="float32")[0]
    assert np.allclose(read_clip("data/sft/dialogues/recorded", clip), wave, atol=1e-4)
    assert (clip["license"], clip["engine"]) == ("CC0-1.0", "recorded")
    # The last conversation is held out; the other one of its source counts twice.
    assert report["examples"]["heard"] == 4 and report["examples"]["read"] == 1 and report["held_out_pairs"] == 1
    assert set(report["pairs_nll"]["after"]) == {"heard"} and report["prompts"] == 0

    params = load("params.yaml")
    assert [found for found in check("sft", params)["expectations"] if not found["passed"]] == []
    strict = params.model_copy(update={"check": params.check.model_copy(update={"max_quarantined_dialogues": 0.1})})
    assert [found["first_ids"] for found in check("sft", strict)["expectations"] if not found["passed"]] == [["talks", "texts"]]
    counts = read_json("reports/sft.json")
    counts["sources"]["talks"]["rows"] += 1
    write_json("reports/sft.json", counts)
    (lost,) = [found for found in check("sft", params)["expectations"] if not found["passed"]]
    assert (lost["column"], lost["first_ids"]) == ("lost", ["reports/sft.json: talks"])


def test_a_source_without_a_usable_row_stops_with_the_first_reason(own):
    write_jsonl("mine/talks.jsonl", [{"messages": turns("a", "")}])
    with pytest.raises(InserterError, match=r"source talks: none of its 1 rows can be used \(row talks.jsonl:1: empty answer"):
        main(load("params.yaml"))
