"""What is tokenised once, mapped into memory and planned by index: the same examples and clips as one by one."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from training_runs import some_examples, workspace

from inserter.errors import InserterError
from inserter.files import read_table
from inserter.params import load
from inserter.seeds import np_rng
from inserter.tables import SEQUENCES, VERIFIED
from inserter.training import states, tokens
from inserter.training.cliptable import indexed
from inserter.training.examples import as_read, example
from inserter.training.models import new_model
from inserter.training.plan import ROUNDS, Plan, Shuffled, permuted
from inserter.training.tokens import UNKNOWN, Tokens, tokenise
from models import InserterForConditionalGeneration, InserterProcessor


@pytest.fixture
def folder(tiny_lm, tiny_encoder, tmp_path):
    return workspace(tmp_path / "w", tiny_lm, tiny_encoder)


@pytest.fixture
def processor(tiny_model):
    return InserterProcessor.from_pretrained(tiny_model)


@pytest.mark.parametrize("read", [False, True])
def test_what_is_mapped_is_what_is_made_one_by_one(folder, processor, tmp_path, monkeypatch, read):
    table = folder / "data/interleave/sequences.parquet"
    rows = read_table(table, SEQUENCES)
    rows[0]["kind"] = "transcribe"
    rows[1]["parts"].append({"text": "", "utt_id": None, "loss": True})
    rows[2]["parts"][0]["utt_id"] = "öther-" + "x" * 30
    pq.write_table(pa.Table.from_pylist(rows, schema=SEQUENCES.schema), table)
    known = rows[3]["parts"][0]["utt_id"]
    monkeypatch.setattr(tokens, "BATCH", 3)  # several batches
    tokenise(table, processor, tmp_path / "tokens", read=read)
    for lengths in ({}, {known: 77}):
        one_by_one = [
            example(processor, as_read(row["parts"]) if read else row["parts"], row["kind"] == "transcribe", lengths=lengths)
            for row in rows
        ]
        sizes = {name.encode(): size for name, size in lengths.items()}
        mapped = Tokens.mapped(tmp_path / "tokens", np.vectorize(lambda name, sizes=sizes: sizes.get(name, UNKNOWN), otypes=[int]))
        assert list(mapped) == one_by_one == list(Tokens.of(one_by_one))
        assert list(Tokens.mapped(tmp_path / "tokens")) == one_by_one or (lengths and not read), "no length is known"
    assert mapped.learnt.tolist() == [item.learnt for item in one_by_one]
    assert [mapped.clips_of(i) for i in range(len(rows))] == [item.clips for item in one_by_one]
    assert isinstance(mapped.ids, np.memmap), "read from disk as it is needed"
    with pytest.raises(InserterError, match=r"no tokens at .*dvc repro"):
        Tokens.mapped(tmp_path / "nowhere")


@pytest.mark.parametrize("count", [1, 2, 3, 8, 1000, 4097])
def test_every_epoch_is_a_shuffle_of_all(count):
    keys = np_rng(1, "epoch", 0).integers(0, 2**63, ROUNDS, dtype=np.uint64)
    places = permuted(np.arange(count), count, keys)
    assert sorted(places.tolist()) == list(range(count))
    order = Shuffled(count, 1)
    epochs = [order.between(epoch * count, (epoch + 1) * count).tolist() for epoch in range(3)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    across = order.between(count // 2, count // 2 + count).tolist()
    assert across == (epochs[0] + epochs[1])[count // 2 : count // 2 + count], "any stretch, also over an epoch's end"


def test_a_shuffle_is_as_even_as_chance():
    """Each example comes to each place about equally often: 1,000 epochs of 8, chi-square of 64 cells below 1 in a thousand."""
    order = Shuffled(8, 3)
    seen = Counter((place, int(i)) for epoch in range(1000) for place, i in enumerate(order.between(8 * epoch, 8 * epoch + 8)))
    chi_square = sum((seen[place, i] - 125) ** 2 / 125 for place in range(8) for i in range(8))
    assert chi_square < 85, chi_square  # 49 degrees of freedom
    large = Shuffled(10_000, 3).between(0, 10_000)
    assert abs(np.corrcoef(large, np.arange(10_000))[0, 1]) < 0.04
    assert (np.diff(large) == 1).mean() < 0.002, "neighbours do not stay together"


def test_steps_are_filled_as_one_by_one():
    """A step takes examples in order until it has its positions, and leaves out one that is a tenth too much."""
    positions = np.random.default_rng(0).integers(5, 120, 500).astype(np.int32)
    plan, order = Plan(positions, 200, 300, seed=9), Shuffled(500, 9).between(0, 10_000).tolist()
    at = 0
    for step in plan:
        chosen = []
        while (total := sum(int(positions[i]) for i in chosen)) < 300:
            if chosen and total + positions[order[at]] > 330:
                break
            chosen.append(order[at])
            at += 1
        assert step == chosen
    assert Plan(positions, 200, 300, seed=9)[150] == plan[150], "asked for alone"
    with pytest.raises(IndexError):
        plan[200]


def test_a_clip_is_found_by_its_id(folder, tmp_path):
    table = folder / "data/verify/clean.parquet"
    rows = {row["utt_id"]: row for row in read_table(table, VERIFIED)}
    clips = indexed(table, VERIFIED, tmp_path / "clips", shards=folder)
    assert sorted(clips) == sorted(rows) and len(clips) == len(rows)
    for name, row in rows.items():
        assert clips[name] == {key: row[key] for key in ("utt_id", "split", "shard", "offset", "size", "n_samples", "duration")}
    assert "u" not in clips and "zz" not in clips and clips.get("u99") is None
    assert [row["utt_id"] for row in clips.of_split("heldout")] == sorted(n for n, row in rows.items() if row["split"] == "heldout")
    assert clips.total() == (len(rows), pytest.approx(sum(row["duration"] for row in rows.values())))
    held = read_table(table, VERIFIED, where={"split": ["heldout"]})
    assert held == [row for row in rows.values() if row["split"] == "heldout"] and held
    assert clips.total("heldout") == (len(held), pytest.approx(sum(row["duration"] for row in held)))
    table.unlink()
    assert sorted(indexed(table, VERIFIED, tmp_path / "clips", shards=folder)) == sorted(rows), "it is done once"


def test_a_table_of_other_columns_is_refused_in_one_line(folder, tmp_path):
    with pytest.raises(InserterError, match="has columns"):
        indexed(folder / "data/interleave/sequences.parquet", VERIFIED, tmp_path / "clips", shards=folder)


def test_clips_ahead_of_the_steps_are_those_that_are_kept(folder, tiny_model, monkeypatch):
    """More clips than are kept: a window's clips are encoded when it begins, and only those are in memory."""
    monkeypatch.chdir(folder)
    model, processor = InserterForConditionalGeneration.from_pretrained(tiny_model), InserterProcessor.from_pretrained(tiny_model)
    clips = indexed(folder / "data/verify/clean.parquet", VERIFIED, folder / "clips", shards=folder / "data/synthesize")
    names = sorted(clips)
    kept = states.encode_clips(model, processor, [clips[n] for n in names], shards=clips.shards, precision="fp32")
    before = sorted((folder / ".work/states").rglob("*"))
    ahead = states.Ahead(model.train(), processor, [clips], precision="fp32")
    windows = {0: names[:3], 1: names[2:6], 2: []}
    for window in (0, 0, 1):
        ahead.reach(window, windows.__getitem__)
        for name in windows[window]:
            assert np.allclose(ahead[name].numpy(), kept[name].numpy(), atol=2e-3), "of other batches"
    with pytest.raises(KeyError):
        ahead[names[0]]
    assert model.training, "as it was"
    assert sorted((folder / ".work/states").rglob("*")) == before, "nothing is written"


def test_clips_in_which_nothing_is_heard_are_kept_too(folder, tiny_lm, tiny_encoder, monkeypatch):
    """A clip shorter than one average of frames has no state: neither has the file of such clips alone."""
    monkeypatch.chdir(folder)
    p = load(folder / "params.yaml")
    model, processor = new_model(p.assets, p.warmup.adapter.model_copy(update={"kind": "pooling", "stride": 200}), 0)
    clips = indexed(folder / "data/verify/clean.parquet", VERIFIED, folder / "clips", shards=folder / "data/synthesize")
    kept = states.encode_clips(model, processor, list(clips.values()), shards=clips.shards, precision="fp32")
    assert [tuple(kept[name].shape) for name in clips] == [(0, model.state_width)] * len(clips)


def test_examples_are_a_sequence(processor):
    mapped = Tokens.of(some_examples(processor))
    assert mapped[-1] == mapped[7] and mapped[2:4] == [mapped[2], mapped[3]]
    with pytest.raises(IndexError):
        mapped[8]
