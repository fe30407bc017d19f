"""Entry `verify_packed`: clips that share the recogniser's windows of 30 s.

The other side has one window per clip.
"""

from flows.bench.compare import Entry, compare
from inserter.params import load

CLIPS = 24  # of 3 to 9 s
TEXT = [
    "The Secretary of the Treasury has laid before you a full report.",
    "It is with great pleasure that I address the Congress once again, and with it the people of every State.",
    "Our relations with foreign nations continue to be friendly and peaceful.",
    "The people of this country need good roads, good schools, honest work, and a fair return for what they make.",
]


def verify_packed() -> Entry:
    """Measure the recogniser of params.yaml on spoken clips, packed as `verify` packs them.

    The other side has one clip per window. Both sides have equal batches.
    """
    from inserter.assets import asr_folder
    from inserter.params import Voice
    from inserter.tts import load_voice
    from inserter.verification.asr import Transcriber
    from inserter.verification.packing import join, pack

    ear = Transcriber(asr_folder(load().assets.asr), "en")
    voice = load_voice(Voice(name="heart", engine="hibari", voice="heart"))
    clips = [voice.speak(TEXT[number % len(TEXT)]) for number in range(CLIPS)]

    def packed() -> None:
        ear.transcribe([join([clips[i] for i in window]) for window in pack([len(clip) for clip in clips])])

    against = f"the same {CLIPS} clips, one per 30 s window"
    return compare("verify_packed", packed, lambda: ear.transcribe(clips), against=against, pairs=3)
