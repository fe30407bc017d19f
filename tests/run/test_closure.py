"""What code decides a result, computed from imports; and keys that a comment does not change."""

from pathlib import Path

import pytest

from inserter.files import fingerprint, without_comments
from inserter.run.closure import closure, deciding

SOURCE = '''"""What the module is for."""

import os  # used below


class Row:
    """A row."""

    name: str
    """Its name."""


def size(path: str) -> int:
    """Return its size.

    In bytes.
    """
    text = "# no comment"
    return os.path.getsize(path) + len(f"{text} # nor this")
'''
CODE = """import os
class Row:
    name: str
def size(path: str) -> int:
    text = "# no comment"
    return os.path.getsize(path) + len(f"{text} # nor this")"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "room/__init__.py": "from room.near import near\n",
        "room/near.py": "from room import far\nfrom other.words import LIST\n\nnear = far.far\n",
        "room/far.py": "def far():\n    from other import late\n    return late\n",
        "room/alone.py": "import os\n",
        "room/words.yaml": "a: b\n",
        "other/__init__.py": "",
        "other/words.py": "from pathlib import Path\nLIST = Path(__file__)\n",
        "other/late.py": "",
        "other/unused.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def names(files: list[Path], root: Path) -> list[str]:
    return [file.relative_to(root).as_posix() for file in files]


def test_a_closure_has_what_is_imported_and_no_more(project: Path) -> None:
    found = names(closure("room.near", root=project), project)
    assert found == ["other/late.py", "other/words.py", "room/far.py", "room/near.py", "room/words.yaml"]
    assert names(closure("room.alone", root=project), project) == ["room/alone.py", "room/words.yaml"]
    whole = names(closure("room", root=project), project)
    assert {"room/__init__.py", "room/alone.py", "room/near.py"} <= set(whole) and "other/unused.py" not in whole
    assert "room/far.py" not in names(deciding("room.near", root=project, without=["room/far.py"]), project)
    with pytest.raises(ValueError, match=r"no module 'room\.nowhere'"):
        closure("room.nowhere", root=project)


def test_what_runs_is_left_of_a_source() -> None:
    assert without_comments(SOURCE) == CODE


def test_a_comment_changes_no_key_and_a_value_does(tmp_path: Path) -> None:
    file = tmp_path / "code.py"

    def key(text: str) -> str:
        file.write_text(text)
        return fingerprint(files=[file])

    same = {key(SOURCE), key(CODE + "\n"), key(SOURCE.replace("# used below", "# why"))}
    assert len(same) == 1
    assert key(SOURCE.replace("no comment", "another text")) not in same
    assert key("this is no Python (\n") != key("nor is this (\n"), "compared as it stands"


def test_a_key_is_the_same_under_every_python(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    file.write_text(SOURCE)
    assert fingerprint("key", files=[file]) == "f3bd41c23631666b"
