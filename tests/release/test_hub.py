"""A folder is sent to a hub on this machine; what goes wrong is one line without the token."""

import huggingface_hub.constants
import pytest
from hub import hub

from flows.export import export
from inserter.errors import InserterError
from inserter.release.hub import check_access, push

TOKEN = "hf_0123456789"


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/README.md").write_text("# A model")
    (tmp_path / "out/model.safetensors").write_bytes(bytes(100))
    return tmp_path / "out"


def test_all_files_arrive_in_a_private_place(small, monkeypatch):
    with hub() as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
        push(small, "org/speech")
    assert server.files == {"org/speech": {path.name: path.read_bytes() for path in small.iterdir()}}
    assert server.tokens == {f"Bearer {TOKEN}"} and server.private == {"org/speech": True}


def test_a_hub_that_refuses_or_is_not_there_is_one_line(small, monkeypatch):
    with hub(refuse=403) as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
        with pytest.raises(InserterError, match=r"the hub refused org/speech.*may only read.*is complete") as refused:
            push(small, "org/speech")
    with hub() as gone:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", gone.url)
    with pytest.raises(InserterError, match=f"the hub at {gone.url} cannot be reached") as absent:
        push(small, "org/speech")
    assert all(TOKEN not in str(error.value) and "\n" not in str(error.value) for error in (refused, absent))


def test_without_a_token_or_a_name_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name in ("speech", "a/b/c", "org/with blank"):
        with pytest.raises(InserterError, match=r"is no name on a hub.*Give ORG/NAME"):
            check_access(name)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(InserterError, match=r"there is no token for the hub\. Set HF_TOKEN"):
        export(tmp_path / "out", str(tmp_path), repository="org/speech")
    assert list(tmp_path.iterdir()) == []
