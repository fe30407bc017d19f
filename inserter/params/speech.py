"""Parameters of speech: voices, effects, the limits of a clip, and the mixture with text."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from inserter.params.section import Distinct, Positive, Range, Section, Seed, Share, within


class Voice(Section):
    """One voice of a pool (docs/VOICES.md).

    rate, pitch and warp are factors; 1.0 leaves the speech as it is.
    """

    name: str
    engine: Literal["hibari", "coqui", "piper", "espeak-ng", "flite", "http", "recorded"]
    voice: str
    """The engine's name for the voice, or a local path."""
    speaker: str | None = None
    """A speaker of a model with several, or the recording whose voice is cloned.

    - coqui: a path, a glob, or several of these separated by commas.
    - http: a path; a .txt file beside the recording has its words.
    """
    language: str = "en"
    """ISO 639-1 code of the language that the voice speaks."""
    rate: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    """Speed, 0.5 to 2."""
    pitch: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    """Pitch together with the formants, 0.5 to 2."""
    warp: Annotated[float, Field(ge=0.8, le=1.25)] = 1.0
    """The formants alone (the length of the vocal tract), 0.8 to 1.25."""
    model: str | None = None
    """Engine `http`: the model that the server is asked for. `recorded`: the model that aligns."""
    url: str | None = None
    """Engine `http`: the server's address; null: INSERTER_TTS_BASE_URL."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """How often the voice is drawn, relative to the others."""
    license: str = "unknown"
    optional: bool = False
    """Leave the voice out if its engine is not installed."""
    heldout: bool = False
    """Never heard in training.

    The voice speaks held-out contexts a second time, so that evaluation can compare voices that
    training heard with voices that it did not hear.
    """


class Augmentation(Section):
    """What is done to spoken clips, drawn for each clip from the seed and the clip's id."""

    noise_share: Share
    """Share of the clips that get noise."""
    snr_db: Range
    """Range from which the SNR of the noise is drawn, in dB."""
    gain_db: Range
    """Range from which the gain of every clip is drawn, in dB."""
    room_share: Share
    """Share of the clips that are heard in a simulated room."""
    rt60: Annotated[Range, AfterValidator(within(0.05, 1.0))]
    """Range from which the room's reverberation time is drawn, 0.05 to 1 s."""


class Synthesize(Section):
    """How spans are spoken, and by which voices."""

    seed: Seed
    workers: Annotated[int, Field(ge=0)]
    """Processes; 0 means one per core. The result does not depend on the number."""
    shard_clips: Positive
    """Clips per shard."""
    keep_originals: bool
    """Keep the speech before its effect beside the clip.

    A changed effect is then applied without speaking again. The cost is about twice the disk space.
    """
    voices: Annotated[tuple[Voice, ...], Distinct]
    augmentation: Augmentation


class SecondOpinion(Section):
    """A second recogniser that hears doubtful clips.

    A clip is doubtful if the first recogniser gets a word error rate in `band`, wrong last words or
    too many words.
    """

    model: str
    """A Whisper as in `assets.asr`, but another one."""
    band: tuple[Share, Annotated[float, Field(ge=0)]]
    """Lowest and highest word error rate of a doubtful clip."""


class Verify(Section):
    """Limits that a clip must keep to be used (docs/VERIFICATION.md).

    `VERIFIED` in `inserter.tables` describes the measurements. After a change of a limit, no clip
    is heard again.
    """

    max_wer: Annotated[float, Field(ge=0)]
    """Word errors over the words to be said."""
    max_extra_words: Annotated[int, Field(ge=0)]
    """Words heard beyond those to be said."""
    min_ending: Share
    """Similarity of the last words to be said to what was heard there, 0 to 1."""
    second_opinion: SecondOpinion | None
    """null: the first recogniser hears doubtful clips again, alone."""
    max_duration_z: Annotated[float, Field(gt=0)]
    """Absolute z-score of the duration, given the text and the voice."""
    min_pace: float
    """Characters of the spoken form per second."""
    max_pace: float
    """Characters of the spoken form per second."""
    min_level_db: float
    """RMS in dBFS."""
    max_clipping: Share
    """Share of the samples in flat tops."""
    max_dc: Share
    """Absolute mean of the samples."""
    max_silence: float
    """Longest silence, in seconds."""
    min_snr_db: float
    """Range from quiet to loud frames; lower for clips with noise that was added on purpose."""
    max_tail_db: float
    """Level of the clip's end relative to its loud frames; a louder end means a cut."""
    max_quarantine_share: Share
    """Share of the clips that may be quarantined before the gate stops the pipeline."""
    max_quarantine_share_by_voice: Share
    """Share of any one voice's clips that may be quarantined before the gate stops."""
    workers: Annotated[int, Field(ge=0)]
    """Processes; 0 means one per core."""

    def limits(self) -> dict[str, object]:
        """Return the fields that decide the verdict on a clip."""
        return self.model_dump(exclude={"max_quarantine_share", "max_quarantine_share_by_voice", "workers"})


class Mixture(Section):
    """Shares of the words per kind of sequence. They must sum to 1; the paper has 40/30/30."""

    interleaved: Share
    speech_tasks: Share
    text: Share

    @model_validator(mode="after")
    def sums_to_one(self) -> "Mixture":
        if abs(self.interleaved + self.speech_tasks + self.text - 1) > 1e-6:
            raise ValueError("the sum interleaved + speech_tasks + text must be 1")
        return self


class Interleave(Section):
    """How clips and text are mixed into training sequences."""

    seed: Seed
    mixture: Mixture
    transcribe_share: Share
    """Share of the speech tasks that ask for a transcript; the others ask for a continuation.

    A span that nothing follows is transcribed. At a share of 0, such a span is left out.
    """
    continuation_words: Positive
    """Most words of a continuation after what was heard."""
