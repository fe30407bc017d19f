"""Why a sound cannot be read."""

MAX_BYTES = 10**9  # of a file. A header that says more was written before the length was known: were it true, nobody would read it


class NoSound(ValueError):
    """Sound that cannot be used. reason: the class it is counted under; detail: what is wrong with it, without its name."""

    def __init__(self, reason: str, detail: str, remedy: str = "Give a wav, flac, ogg or mp3 file") -> None:
        super().__init__(detail)
        self.reason, self.detail, self.remedy = reason, detail, remedy


def cut_off(there: int, said: int, what: str = "bytes of samples") -> NoSound:
    return NoSound("truncated", f"is cut off: {there:,} of {said:,} {what} are there", "Fetch or record it again")
