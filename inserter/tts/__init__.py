"""Turn text into 16 kHz speech with voices of any engine; the driver speaks a table into shards.

    voice = load_voice(params.Voice)       # rate, pitch and warp applied
    wave = voice.speak("Good morning.")    # float32 (samples,), 16 kHz; raises CannotSpeak(reason)
    available(params.Voice) -> str | None  # None, or why it cannot be used (with the remedy)
    usable(voices) -> (list[Voice], dict[name, reason])
        # leaves out optional voices; raises InserterError for the others

    Job(utt_id, doc_id, split, written, spoken, voice="heart", effect=Effect(...) | None)

    speak_all(
        jobs, voices, out, rows, seed=1, workers=0, executor="local", shard_clips=256,
        label="speak", ...
    ) -> list[Utterance]
    speak_shards(...the same...) -> Iterator[list[Utterance]]
        # the rows of one shard at a time, so memory stays flat

`voices` are `params.Voice`s, and each job names one of them. Shards go to `out/shard-00000.tar` and
so on, and their list goes to `out/shards.parquet`. The rows of a finished shard (schema UTTERANCES,
`shard` = its file name) go to `rows/shard-00000.parquet`.

Keep both folders in a WorkFolder. A run that resumes after a kill reads finished shards back and
makes the others. The bytes are the same for all values of `workers` and `executor`. Text that
cannot be spoken gives a row with `error` and no shard.

A shard is spoken in parts of about 100 s of speech each, the longest part first. `earlier` (an
`Earlier`) holds speech that need not be made again.
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
