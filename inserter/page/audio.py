"""Publish the sound of a page as FLAC files in a folder beside the page.

A page that is opened from disk can play these files too.
"""

import hashlib
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from inserter.errors import InserterError
from inserter.files import publish


def audio_name(clip_id: str) -> str:
    """Return a file name that is valid in every file system and URL; two ids never share a name."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", clip_id)[:120]
    if safe == clip_id:
        return f"{safe}.flac"
    return f"{safe}-{hashlib.blake2b(clip_id.encode(), digest_size=4).hexdigest()}.flac"


def publish_files(files: Iterable[tuple[str, bytes]], target: Path) -> None:
    """Publish these files (name, bytes) as the only content of the folder `target`.

    `target` then has all of the files, or is unchanged. Raises InserterError if `target` cannot be
    written.
    """
    staged = target.with_name(f".{target.name}.new")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        for name, data in files:
            (staged / name).write_bytes(data)
        publish(staged, target)
    except OSError as error:
        raise InserterError(f"cannot write {target}: {error}", "Free some disk space or correct the permissions") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)
