"""The error for sound that cannot be read: its reason, its detail and its remedy."""

# Largest file that is read, in bytes. A header that states more was written before the length was
# known: a file of that size would not be read anyway.
MAX_BYTES = 10**9


class NoSound(ValueError):
    """Sound that cannot be used.

    reason: the class under which the sound is counted.
    detail: what is wrong with the sound, without the sound's name.
    remedy: what the user can do.
    """

    def __init__(self, reason: str, detail: str, remedy: str = "Give a wav, flac, ogg or mp3 file") -> None:
        super().__init__(detail)
        self.reason, self.detail, self.remedy = reason, detail, remedy


def cut_off(there: int, said: int, what: str = "bytes of samples") -> NoSound:
    """Return the error for a file that has only `there` of the `said` units (`what`)."""
    return NoSound("truncated", f"is cut off: it has {there:,} of {said:,} {what}", "Download or record the file again")
