"""The sound of a page: FLAC files in a folder beside it, which it plays also when it is opened from the disk."""

import hashlib
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from inserter.errors import InserterError
from inserter.files import publish


def audio_name(clip_id: str) -> str:
    """A file name that every file system and URL takes as it is; two ids never share one."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", clip_id)[:120]
    if safe == clip_id:
        return f"{safe}.flac"
    return f"{safe}-{hashlib.blake2b(clip_id.encode(), digest_size=4).hexdigest()}.flac"


def publish_files(files: Iterable[tuple[str, bytes]], target: Path) -> None:
    """The folder `target` with these (name, bytes) and no other: all of them, or as it was before."""
    staged = target.with_name(f".{target.name}.new")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        for name, data in files:
            (staged / name).write_bytes(data)
        publish(staged, target)
    except OSError as error:
        raise InserterError(f"cannot write {target}: {error}", "Free some disk space or mend the permissions") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
