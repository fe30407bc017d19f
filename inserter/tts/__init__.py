"""Voices: text in, 16 kHz speech out, whatever the engine; and the driver that speaks a table into shards.

    voice = load_voice(params.Voice)                       # rate and pitch applied
    wave = voice.speak("Good morning.")                    # float32 (samples,), 16 kHz; CannotSpeak(reason)
    available(params.Voice) -> str | None                  # None, or why it cannot be used (with the remedy)
    usable(voices) -> (list[Voice], dict[name, reason])    # leaves out optional ones; InserterError for the others

    Job(utt_id, doc_id, split, written, spoken, voice="heart", effect=Effect(...) | None)

    speak_all(jobs, voices, out, rows, seed=1, workers=0, executor="local", shard_clips=256, label="speak", ...) -> list[dict]
    speak_shards(...the same...) -> Iterator[list[dict]]    # the rows of one shard at a time: flat memory

`voices` are `params.Voice`s, a job names one. Shards go to `out/shard-00000.tar`, and their list to `out/shards.parquet`; the
rows of a finished shard (schema UTTERANCES, `shard` = its file name) to `rows/shard-00000.parquet`. Keep both folders in a
WorkFolder: run again after a kill, finished shards are read back, the others are made, and the bytes are the same, whatever
`workers` and `executor` are. Text that cannot be spoken gives a row with `error` and no shard.

A shard is spoken in parts of about 100 s of speech each, the longest first; `earlier` (an `Earlier`) has speech that need not be
made.
"""

from inserter.tts.base import CannotSpeak, Synthesizer
from inserter.tts.driver import Earlier, Job, Progress, content, speak_all, speak_shards
from inserter.tts.voices import available, identity, load_voice, usable

__all__ = [
    "CannotSpeak",
    "Earlier",
    "Job",
    "Progress",
    "Synthesizer",
    "available",
    "content",
    "identity",
    "load_voice",
    "speak_all",
    "speak_shards",
    "usable",
]
