"""Speech: voices, what is done to their clips, what a clip must keep to, and how clips and text are mixed."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from inserter.params.section import Distinct, Positive, Range, Section, Seed, Share, within


class Voice(Section):
    """One voice of a pool (docs/VOICES.md). voice: the engine's name for it, or a local path; speaker: of a model with
    several, or the recording whose voice is cloned (coqui: a path, a glob, several apart by commas; http: a path, with its words
    beside it as .txt); language: ISO 639-1, of what it speaks.

    rate, pitch and warp are factors (1.0: as it is): speed, pitch together with the formants, the formants alone (the length
    of the vocal tract). url, model: of engine `http`; url null: INSERTER_TTS_BASE_URL. optional: leave it out where its engine
    is not installed. heldout: never heard in training; it speaks held-out contexts a second time, so that evaluation can tell
    seen voices from unseen ones.
    """

    name: str
    engine: Literal["hibari", "coqui", "piper", "espeak-ng", "flite", "http"]
    voice: str
    speaker: str | None = None
    language: str = "en"
    rate: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    pitch: Annotated[float, Field(ge=0.5, le=2.0)] = 1.0
    warp: Annotated[float, Field(ge=0.8, le=1.25)] = 1.0
    model: str | None = None
    url: str | None = None
    weight: Annotated[float, Field(gt=0)] = 1.0
    license: str = "unknown"
    optional: bool = False
    heldout: bool = False


class Augmentation(Section):
    """What is done to clips after they were spoken, drawn anew for each from its seed and id.

    noise_share: of the clips that get noise, at an SNR drawn from snr_db (dB). gain_db: every clip's gain is drawn from it (dB).
    room_share: of the clips that are heard in a simulated room, whose reverberation time is drawn from rt60 (seconds).
    """

    noise_share: Share
    snr_db: Range
    gain_db: Range
    room_share: Share
    rt60: Annotated[Range, AfterValidator(within(0.05, 1.0))]


class Synthesize(Section):
    """workers: processes, 0 for one a core. The result does not depend on it. keep_originals: speech as it was before its effect is
    kept beside the clip (about twice the disk): clips with another effect are then made from it, without speaking again."""

    seed: Seed
    workers: Annotated[int, Field(ge=0)]
    shard_clips: Positive
    keep_originals: bool
    voices: Annotated[tuple[Voice, ...], Distinct]
    augmentation: Augmentation


class SecondOpinion(Section):
    """model: a Whisper as in `assets.asr`, another than that. It is asked about clips whose word error rate by the first lies in
    `band`, or whose words at the end, or number of words, are not right there."""

    model: str
    band: tuple[Share, Annotated[float, Field(ge=0)]]


class Verify(Section):
    """Limits a clip must keep to be used (docs/VERIFICATION.md; the columns they are about: `tables.py`), and the share of clips,
    and of any one voice's, that may be quarantined before the gate stops. A changed limit hears nothing again."""

    max_wer: Annotated[float, Field(ge=0)]
    max_extra_words: Annotated[int, Field(ge=0)]
    min_ending: Share
    second_opinion: SecondOpinion | None
    max_duration_z: Annotated[float, Field(gt=0)]
    min_pace: float
    max_pace: float
    min_level_db: float
    max_clipping: Share
    max_dc: Share
    max_silence: float
    min_snr_db: float
    max_tail_db: float
    max_quarantine_share: Share
    max_quarantine_share_by_voice: Share
    workers: Annotated[int, Field(ge=0)]

    def limits(self) -> dict[str, Any]:
        """What decides the verdict on a clip."""
        return self.model_dump(exclude={"max_quarantine_share", "max_quarantine_share_by_voice", "workers"})


class Mixture(Section):
    interleaved: Share
    speech_tasks: Share
    text: Share

    @model_validator(mode="after")
    def sums_to_one(self) -> "Mixture":
        if abs(self.interleaved + self.speech_tasks + self.text - 1) > 1e-6:
            raise ValueError("interleaved + speech_tasks + text must be 1")
        return self


class Interleave(Section):
    """mixture: the paper's 40/30/30, counted in words. transcribe_share: of the speech tasks, those that ask for a transcript;
    the others continue with continuation_words words after what was heard. A span that nothing follows is transcribed; at 0 it is
    left out."""

    seed: Seed
    mixture: Mixture
    transcribe_share: Share
    continuation_words: Positive
