"""Interleaving: joined again the document is whole, only text is learnt, and the shares are kept."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inserter.errors import InserterError
from inserter.files import read_table, write_table
from inserter.params import load
from inserter.tables import DOCUMENTS, HELDOUT, SEQUENCES, SPANS, UNSEEN, VERIFIED
from inserter.training.examples import as_read, example
from inserter.training.tokens import Tokens
from inserter.yaml_files import dump_yaml, read_yaml
from models import InserterProcessor
from stages.interleave.build import first_words, interleaved, readable, sequence, speech_task
from stages.interleave.stage import SHOWN, main

TEXT = "Fellow citizens, the state of the Union is good.  It was\nnot always so; we remember it well. And now we go on."


def document(text=TEXT):
    return {"doc_id": "d", "text": text}


def span(start, end, number=0, text=TEXT):
    return {"utt_id": f"d-{number:03d}", "start": start, "end": end, "written": text[start:end]}


@given(st.lists(st.integers(0, len(TEXT.split()) - 1), max_size=8, unique=True))
def test_parts_joined_are_the_document(borders):
    """Whatever the spans: no word is lost, doubled or cut, and no text part ends in a blank."""
    words, at = [], 0
    for word in TEXT.split():
        start = TEXT.index(word, at)
        words.append((start, start + len(word)))
        at = start + len(word)
    borders = sorted(borders)
    pairs = list(zip(borders[::2], borders[1::2], strict=False))
    spans = [span(words[a][0], words[b - 1][1], i) for i, (a, b) in enumerate(pairs)]
    parts = interleaved(document(), spans)
    assert "".join(part["text"] for part in parts) == TEXT
    assert [part["utt_id"] for part in parts if part["utt_id"]] == [s["utt_id"] for s in spans]
    assert all(part["loss"] == (part["utt_id"] is None) for part in parts)
    assert all(part["text"] == part["text"].rstrip() for part in parts)


def test_a_document_may_end_in_blanks():
    parts = interleaved(document(TEXT + "\n"), [span(0, 16)])
    assert "".join(part["text"] for part in parts) == TEXT + "\n"


def test_something_is_always_learnt():
    whole = [span(0, 48), span(50, len(TEXT), 1)]
    parts = interleaved(document(), whole)
    assert [part["loss"] for part in parts] == [False, True]


def test_first_words_keeps_the_blank_before_and_cuts_no_word():
    assert first_words(" It was\nnot always so", 3) == " It was\nnot"
    assert first_words(" two words", 9) == " two words"
    assert first_words("", 3) == ""


def test_a_speech_task_transcribes_with_a_prefix_or_continues():
    first = span(0, 48)
    spoken = speech_task(document(), first, 1, transcribe_share=1.0, words=4)
    assert spoken["kind"] == "transcribe" and [p["loss"] for p in spoken["parts"]] == [False, False, True]
    assert spoken["parts"][-1]["text"] == "\n" + first["written"]
    goes_on = speech_task(document(), first, 1, transcribe_share=0.0, words=8)
    assert goes_on["kind"] == "continue" and goes_on["parts"][-1]["text"].split() == TEXT[48:].split()[:8]
    at_the_end = span(50, len(TEXT), 1)
    assert speech_task(document(), at_the_end, 1, transcribe_share=1e-9, words=8)["kind"] == "transcribe", "nothing follows it"
    assert speech_task(document(), at_the_end, 1, transcribe_share=0.0, words=8) is None, "and no transcript is wanted"


def test_five_words_after_a_clip_are_enough_to_continue_and_four_are_not():
    first = span(0, 48)
    enough = speech_task(document(), first, 1, transcribe_share=1e-9, words=5)
    assert enough["kind"] == "continue" and enough["parts"][-1]["text"].split() == TEXT[48:].split()[:5]
    assert speech_task(document(), first, 1, transcribe_share=1e-9, words=4)["kind"] == "transcribe"


def mixed(text: float):
    """The settings with that share of plain text, and speech tasks and interleaved text in equal shares."""
    params = load()
    rest = (1.0 - text) / 2
    mixture = params.interleave.mixture.model_copy(update={"interleaved": rest, "speech_tasks": rest, "text": text})
    return params.model_copy(update={"interleave": params.interleave.model_copy(update={"mixture": mixture})})


def test_each_group_gets_its_share_of_the_words(tables):
    write(tables)
    report = main(mixed(0.2))
    wanted = {"interleaved": 0.4, "speech_tasks": 0.4, "text": 0.2}
    assert report["share_of_words"] == pytest.approx(wanted, abs=0.05)
    rows = read_table("data/interleave/sequences.parquet", SEQUENCES)
    words = {kind: sum(row["n_words"] for row in rows if row["kind"] == kind) for kind in report["by_kind"]}
    assert words["interleaved"] / report["words"] == report["share_of_words"]["interleaved"]
    assert report["words"] == sum(words.values()) and report["sequences"] == len(rows)


@pytest.mark.parametrize("bare", ["d10", "d39"])
def test_a_document_without_a_clean_clip_is_plain_text_or_left_out(tables, bare):
    tables["clean"] = [row for row in tables["clean"] if row["doc_id"] != bare]
    write(tables)

    def kinds(text: float) -> list[str]:
        main(mixed(text))
        return [row["kind"] for row in read_table("data/interleave/sequences.parquet", SEQUENCES) if row["doc_id"] == bare]

    assert kinds(0.2) == ["text"]
    assert kinds(0.0) == [], "no plain text is wanted"


@pytest.mark.parametrize(("share", "kind"), [(1.0, "transcribe"), (0.0, "continue")])
def test_a_mixture_of_one_kind_is_of_that_kind_alone(tables, share, kind):
    write(tables)
    params = load()
    mixture = params.interleave.mixture.model_copy(update={"interleaved": 0.0, "speech_tasks": 1.0, "text": 0.0})
    interleave = params.interleave.model_copy(update={"mixture": mixture, "transcribe_share": share})
    report = main(params.model_copy(update={"interleave": interleave}))
    assert set(report["by_kind"]) == {kind} and report["by_kind"][kind] > 0
    counts = report["spans"]
    assert counts["clean"] == counts["in_sequences"] + counts["in_heldout"] + counts["not_used"]


def test_the_dump_can_be_read():
    row = sequence(document(), "d-i", "interleaved", parts=interleaved(document(), [span(0, 16)]))
    assert "«Fellow citizens,»  the state of the Union" in readable(row)
    spoken = speech_task(document(), span(0, 16), 1, transcribe_share=1.0, words=4)
    assert "[Transcribe what you hear:] «Fellow citizens,» \nFellow citizens," in readable(spoken), "what is not learnt is marked"


def test_the_first_sequences_can_be_read_in_a_sample(tables):
    write(tables)
    main(load())
    rows = read_table("data/interleave/sequences.parquet", SEQUENCES)
    assert Path("data/interleave/sample.md").read_text(encoding="utf-8") == "\n".join(map(readable, rows[:SHOWN]))


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_lm: Path, tiny_encoder: Path) -> dict[str, list[dict]]:
    """Forty documents of two spans each, the first four held out; one clip in ten is not clean."""
    settings = read_yaml("params.yaml")
    settings["assets"] |= {"lm": str(tiny_lm), "encoder": str(tiny_encoder)}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(dump_yaml(settings), encoding="utf-8")
    documents, spans, clean = [], [], []
    for n in range(40):
        doc = f"d{n:02d}"
        split = "heldout" if n < 4 else "train"
        documents.append({"doc_id": doc, "split": split, "text": TEXT, "n_words": len(TEXT.split())})
        for k, (start, end) in enumerate([(0, 48), (64, 83)]):
            utt_id = f"{doc}-{k:03d}"
            values = {"utt_id": utt_id, "doc_id": doc, "split": split, "level": "word", "written": TEXT[start:end]}
            spans.append({**values, "start": start, "end": end})
            if (2 * n + k) % 10 != 9:
                clean.append({"utt_id": utt_id, "doc_id": doc})
            if split == "heldout" and k == 0 and n != 2:
                clean.append({"utt_id": utt_id + UNSEEN, "doc_id": doc})
    return {"documents": documents, "spans": spans, "clean": clean}


def write(tables: dict[str, list[dict]]) -> None:
    half = len(tables["documents"]) // 2
    for number, rows in enumerate([tables["documents"][:half], tables["documents"][half:]]):
        write_table(f"data/corpus/documents-{number:05d}.parquet", rows, DOCUMENTS)
    write_table("data/segment/spans.parquet", tables["spans"], SPANS)
    write_table("data/verify/clean.parquet", tables["clean"], VERIFIED)


def test_only_clean_clips_are_used_and_every_span_is_accounted_for(tables):
    write(tables)
    report = main(load())
    rows = read_table("data/interleave/sequences.parquet", SEQUENCES)
    used = [part["utt_id"] for row in rows for part in row["parts"] if part["utt_id"]]
    clean = {row["utt_id"] for row in tables["clean"]}
    assert set(used) <= clean and len(used) == len(set(used)) == report["spans"]["in_sequences"]
    counts = report["spans"]
    assert counts["all"] == 80 and counts["clean"] == 72
    assert counts["clean"] == counts["in_sequences"] + counts["in_heldout"] + counts["not_used"]
    assert {row["doc_id"] for row in rows}.isdisjoint({"d00", "d01", "d02", "d03"}), "held-out text is never learnt"


def test_a_held_out_context_has_its_clip_in_an_unseen_voice_where_there_is_one(tables):
    write(tables)
    assert main(load())["heldout_in_unseen_voice"] == 3
    rows = {row["doc_id"]: row for row in read_table("data/interleave/heldout.parquet", HELDOUT)}
    assert rows["d00"]["unseen_utt_id"] == "d00-000" + UNSEEN and rows["d02"]["unseen_utt_id"] is None
    assert {row["other_doc_id"] for row in rows.values()} == set(rows), "each is the baseline of another"
    assert all(row["other_doc_id"] != doc for doc, row in rows.items())


def test_a_held_out_context_is_the_first_clean_clip_and_what_follows_it(tables):
    tables["clean"] = [row for row in tables["clean"] if row["utt_id"] != "d01-000"]
    write(tables)
    main(load())
    rows = {row["doc_id"]: row for row in read_table("data/interleave/heldout.parquet", HELDOUT)}
    found = {doc: (row["utt_id"], row["context"], row["continuation"]) for doc, row in rows.items()}
    assert found["d00"] == ("d00-000", TEXT[:48], TEXT[48:]), "a continuation may be as long as the text"
    assert found["d01"] == ("d01-001", TEXT[64:83], TEXT[83:])


@pytest.mark.parametrize("heldout", [0, 1, 2])
def test_a_held_out_context_needs_another_one_to_be_compared_with(tables, heldout):
    tables["clean"] = [row for row in tables["clean"] if row["doc_id"] >= "d04" or row["doc_id"] < f"d{heldout:02d}"]
    write(tables)
    if heldout == 2:
        assert main(load())["heldout_contexts"] == 2
        return
    with pytest.raises(InserterError, match=rf"{heldout} held-out contexts.*heldout_documents"):
        main(load())
    assert not Path("data/interleave").exists(), "nothing half-made is published"


def test_a_corpus_of_which_nothing_can_be_learnt_is_refused(tables):
    tables["clean"] = [row for row in tables["clean"] if row["doc_id"] < "d04"]
    write(tables)
    with pytest.raises(InserterError, match=r"no training sequence.*verify\.json"):
        main(mixed(0.0))


@pytest.mark.parametrize("distill", [0.5, 0.0])
def test_the_sequences_are_there_as_tokens_too(tables, tiny_lm, tiny_encoder, distill):
    write(tables)
    killed = Path(".work/interleave/out/tokens-read/ids.npy")
    killed.parent.mkdir(parents=True)
    killed.write_bytes(b"of a killed run")
    params = load()
    main(params.model_copy(update={"pretrain": params.pretrain.model_copy(update={"distill": distill})}))
    processor = InserterProcessor.from_parts(str(tiny_lm), str(tiny_encoder), params.model.delimiters)
    rows = read_table("data/interleave/sequences.parquet", SEQUENCES)
    heard = [example(processor, row["parts"], row["kind"] == "transcribe") for row in rows]
    assert list(Tokens.mapped(Path("data/interleave/tokens"))) == heard
    read = Path("data/interleave/tokens-read")
    assert read.exists() == bool(distill), "only distillation compares what is heard with what is read"
    if distill:
        assert list(Tokens.mapped(read)) == [example(processor, as_read(row["parts"]), row["kind"] == "transcribe") for row in rows]


def test_tables_of_different_runs_are_refused(tables):
    tables["clean"].insert(0, {"utt_id": "gone-000", "doc_id": "gone"})
    write(tables)
    with pytest.raises(InserterError, match=r"clean\.parquet has rows of gone.*dvc repro"):
        main(load())
    assert not Path("data/interleave").exists(), "nothing half-made is published"
