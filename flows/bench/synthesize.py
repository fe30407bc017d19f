"""Entries `synthesize_scaling` and `synthesize_loop`: how fast two processes make shards of text.

Both entries speak the same sentences of the embedded corpus with hibari's voice `heart`. Processes
are started and have loaded the voice before anything is measured, since a run of hours starts once.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from flows.bench.compare import Entry, compare
from inserter.params import Augmentation, Voice, load
from inserter.run.executor import Processes, cores

WORKERS = 2
# About 40 minutes of speech. In the last tenths of a second one process waits for the other: 2 %.
SENTENCES = 480
PAIRS = 3
HEART = Voice(name="heart", engine="hibari", voice="heart", license="Apache-2.0")


def synthesize_scaling() -> Entry:
    """Measure the driver on two processes against the driver on one.

    Both make the noise, rooms and originals that params.yaml asks for.
    """
    texts, augmentation = sentences(), load().synthesize.augmentation
    with tempfile.TemporaryDirectory() as folder, _warm(WORKERS) as two, _warm(1) as one:
        against = f"one process ({_machine()})"
        return compare(
            "synthesize_scaling",
            lambda: _speak(texts, Path(folder), two, augmentation=augmentation),
            lambda: _speak(texts, Path(folder), one, augmentation=augmentation),
            against=against,
            pairs=PAIRS,
        )


def synthesize_loop() -> Entry:
    """Measure the driver on two processes against a plain loop over hibari.

    The driver does all that params.yaml asks for; the loop only writes wav files. The texts are the
    same, so the ratio of seconds is the ratio of audio per second.
    """
    from hibari import Hibari

    texts, augmentation, hibari = sentences(), load().synthesize.augmentation, Hibari(threads=1)
    with tempfile.TemporaryDirectory() as folder, _warm(WORKERS) as two:

        def loop() -> None:
            for number, text in enumerate(texts):
                hibari.save(text, str(Path(folder, f"{number}.wav")))

        against = f"a loop over hibari's own API that writes one wav per clip ({_machine()})"
        return compare(
            "synthesize_loop",
            lambda: _speak(texts, Path(folder), two, augmentation=augmentation),
            loop,
            against=against,
            pairs=PAIRS,
        )


def sentences() -> list[str]:
    """Return sentences of 20 to 300 characters from the embedded corpus's last texts.

    The sentences are in the form in which a voice reads them.
    """
    from inserter.assets import sotu_folder
    from inserter.text.sentences import sentence_spans
    from inserter.text.spoken import readings

    texts = (" ".join(file.read_text(encoding="utf-8").split()) for file in sorted(sotu_folder().glob("*.txt"), reverse=True))
    found = (text[start:end] for text in texts for start, end in sentence_spans(text) if 20 <= end - start <= 300)
    return list(islice(readings(found, "en"), SENTENCES))


@contextmanager
def _warm(workers: int) -> Iterator[Processes]:
    with Processes(workers, _load) as pool:
        list(pool.map(_pause, range(8 * workers)))
        yield pool


def _load() -> None:
    from inserter.tts import load_voice

    load_voice(HEART).speak("Good morning to you all.")


def _pause(number: int) -> int:
    """Sleep long enough that every process gets some tasks, and so has started."""
    time.sleep(0.05)
    return number


def _speak(texts: list[str], folder: Path, pool: Processes, *, augmentation: Augmentation) -> None:
    from inserter.audio.effects import draw
    from inserter.seeds import np_rng
    from inserter.tts import Job
    from inserter.tts.driver.shards import Progress, Recipe, make_shards

    out = folder / "shards"
    shutil.rmtree(out, ignore_errors=True)
    names = [f"u{number}" for number in range(len(texts))]
    effects = [draw(augmentation, np_rng(1, "effect", name)) for name in names]
    jobs = [Job(n, "d", "train", t, t, "heart", e) for n, t, e in zip(names, texts, effects, strict=True)]
    recipe = Recipe(
        voices={"heart": HEART},
        out=out / "out",
        rows=out / "rows",
        seed=1,
        shard_clips=256,
        fingerprint="bench",
        keep_originals=True,
        earlier=None,
    )
    for _ in make_shards(jobs, recipe, pool.map, progress=Progress()):
        pass


def _machine() -> str:
    return f"{cores()} cores"
