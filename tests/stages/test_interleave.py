"""Interleaving: joined again the document is whole, only text is learnt, and the shares are kept."""

from hypothesis import given
from hypothesis import strategies as st

from stages.interleave.build import first_words, interleaved, readable, sequence, speech_task

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
    assert " ".join(part["text"] for part in parts).split() == TEXT.split()
    assert [part["utt_id"] for part in parts if part["utt_id"]] == [s["utt_id"] for s in spans]
    assert all(part["loss"] == (part["utt_id"] is None) for part in parts)
    assert all(part["text"] == part["text"].rstrip() for part in parts)


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
    spoken = speech_task(document(), first, 1, 1.0, 4)
    assert spoken["kind"] == "transcribe" and [p["loss"] for p in spoken["parts"]] == [False, False, True]
    assert spoken["parts"][-1]["text"] == "\n" + first["written"]
    goes_on = speech_task(document(), first, 1, 0.0, 8)
    assert goes_on["kind"] == "continue" and goes_on["parts"][-1]["text"].split() == TEXT[48:].split()[:8]
    at_the_end = span(50, len(TEXT), 1)
    assert speech_task(document(), at_the_end, 1, 0.0, 8)["kind"] == "transcribe", "nothing follows it"


def test_the_dump_can_be_read():
    row = sequence(document(), "d-i", "interleaved", interleaved(document(), [span(0, 16)]))
    assert "«Fellow citizens,»  the state of the Union" in readable(row)
