"""The one exception that reaches a user: a line with the problem and the remedy."""

import errno
import re

FULL = (errno.ENOSPC, errno.EDQUOT)
REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)
REMEDY = "Correct the permissions, or work in a writable copy. Set INSERTER_CACHE and TMPDIR to move files outside it"
# The user and the password of an address; `models:/NAME@ALIAS` has one slash.
_LOGIN = re.compile(r"(?<=://)[^/\s]*@|(?<=[?&])password=[^&\s'\"]*", re.IGNORECASE)


def shown(text: str) -> str:
    """Return a text for people, without the users and passwords of the addresses in it."""
    return _LOGIN.sub("", text)


class InserterError(Exception):
    """An error that the user can correct; `str(error)` is one line with problem and remedy."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(" ".join(shown(f"{problem}. {remedy}" if remedy else problem).split()))


def refused(error: BaseException) -> InserterError | None:
    """Return a known kind of foreign error as a one-line InserterError, or None for any other.

    The known kinds are a full disk, an unwritable path, a user without a home folder, and any error
    with a `remedy`. Libraries that write from Rust or C++ raise errors of their own, which only
    quote the system's message.
    """
    if isinstance(remedy := getattr(error, "remedy", None), str):
        return InserterError(str(error), remedy)
    # pathlib and platformdirs raise a RuntimeError for a user without a home.
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return InserterError("HOME is not set, and this user has no home folder", "Set HOME to a writable folder")
    number = error.errno if isinstance(error, OSError) else None
    full = number in FULL or "No space left on device" in str(error)
    if not full and number not in REFUSED:
        return None
    where = getattr(error, "filename", None) or " ".join(str(error).split())[:160]
    what = "the disk is full" if full else getattr(error, "strerror", None) or "not permitted"
    return InserterError(f"{where}: {what}", "Free some disk space, then run again" if full else REMEDY)
