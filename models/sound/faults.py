"""The error for sound that cannot be read: its reason, its detail and its remedy."""

# Largest file that is read, in bytes. A header that states more was written before the length was
# known: a file of that size would not be read anyway.
MAX_BYTES = 10**9
MAX_STREAMS = 1_000  # sounds in a row that one file may hold; a radio's recording has one per song


class NoSound(ValueError):
    """Sound that cannot be used.

    reason: the class under which the sound is counted.
    detail: what is wrong with the sound, without the sound's name.
    remedy: what the user can do.
    """

    def __init__(self, reason: str, detail: str, remedy: str = "Give a wav, flac, ogg or mp3 file") -> None:
        super().__init__(detail)
        self.reason, self.detail, self.remedy = reason, detail, remedy


def too_many() -> NoSound:
    """Return the error for a file of more than MAX_STREAMS sounds in a row."""
    return NoSound("undecodable", f"is made of more than {MAX_STREAMS:,} sounds in a row", "Cut the sound into parts")


def cut_off(there: int, said: int, what: str = "bytes of samples") -> NoSound:
    """Return the error for a file that has only `there` of the `said` units (`what`)."""
    return NoSound("truncated", f"is cut off: it has {there:,} of {said:,} {what}", "Download or record the file again")
