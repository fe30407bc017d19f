"""The bytes of a clip come from a shard beside its table, and from nowhere else."""

from pathlib import Path

import pytest

from inserter.audio.stored import read_clip_bytes
from inserter.errors import InserterError


def test_a_table_names_no_shard_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("other.tar", "clips/shard.tar"):
        (tmp_path / name).write_bytes(b"0123456789")
    assert read_clip_bytes(tmp_path / "clips", {"shard": "shard.tar", "offset": 2, "size": 3}) == b"234"
    for shard in ("../other.tar", str(tmp_path / "other.tar")):
        with pytest.raises(InserterError, match="outside the folder"):
            read_clip_bytes(tmp_path / "clips", {"shard": shard, "offset": 0, "size": 3})
