"""Fixtures of several rooms: tiny models in hub format (real classes, random weights), tables for the gates, and a browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import ARGS, CHROMIUM, WIDE
from checkout import ROOT
from databases import Databases
from gate_tables import fill, small_params
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, WhisperConfig, WhisperFeatureExtractor
from transformers import WhisperForConditionalGeneration as Whisper

from flows import guard, server
from inserter.assets import encoder_folder
from inserter.params import Params
from inserter.run.quiet import quiet
from models import InserterForConditionalGeneration, InserterProcessor

quiet()
os.environ["PYTHONPATH"] = str(ROOT)  # processes that tests start in other folders find the pipeline
# Containers often forbid compiled modules. Each process of a test would then compile its imports again, for 2 to 5 s of CPU.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.pop("MLFLOW_TRACKING_URI", None)  # tests have registries of their own
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two test processes share the cores: more threads would wait for each other

# Files whose tests start servers, browsers or stages as processes: `make test-fast` leaves them out.
SLOW = {
    "test_ablate", "test_arm", "test_bench", "test_bench_against", "test_cli", "test_coqui", "test_corpus_scale", "test_deployment",
    "test_disk", "test_documents", "test_executor", "test_gpu_check", "test_judge_command", "test_light_install",
    "test_listen_browser", "test_live", "test_pipeline", "test_read_only", "test_record_files", "test_recordings", "test_register",
    "test_registration", "test_report_browser", "test_serve_browser", "test_serve_limits", "test_serving", "test_speech_server",
    "test_status", "test_synthesize", "test_synthesize_ray", "test_synthesize_reuse", "test_training", "test_training_processes",
    "test_training_ranks", "test_ui", "test_verify_faults", "test_whole_pipeline",
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of SLOW, and begin with them: short files at the end let both test processes end together."""
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.path.stem not in SLOW)


CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TOKENS = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")
TEXT = [
    "The quick brown fox jumps over the lazy dog while the harbor sleeps.",
    "Write a short story about a lighthouse keeper, and do not use any commas in it.",
    "Fellow citizens of the Senate and of the House of Representatives, the state of the Union is good.",
]


@pytest.fixture(scope="session")
def tiny_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 2 layers and width 32 with a byte-level BPE tokenizer and a ChatML template."""
    import torch

    folder = tmp_path_factory.mktemp("tiny-lm")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    fast.chat_template = CHATML
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=2048,
        tie_word_embeddings=False,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=2,
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[:3] = 0.0  # it babbles on (tied weights would repeat the newline)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Whisper of one layer and width 32, with the tokenizer and the settings of a real one: its decoder writes nonsense."""
    import torch

    real = encoder_folder("embedded:whisper-tiny.en")

    folder = tmp_path_factory.mktemp("tiny-whisper")
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=100,
        d_model=32,
        encoder_layers=1,
        encoder_attention_heads=2,
        encoder_ffn_dim=64,
        decoder_layers=1,
        decoder_attention_heads=2,
        decoder_ffn_dim=64,
        num_mel_bins=80,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
        suppress_tokens=None,
        begin_suppress_tokens=None,
    )
    encoder = Whisper(config).get_encoder().state_dict()  # the golden curve is of these weights
    config.update({key: getattr(WhisperConfig.from_pretrained(real), key) for key in ("vocab_size", *TOKENS)})
    whisper = Whisper(config)
    whisper.get_encoder().load_state_dict(encoder)
    whisper.save_pretrained(folder)
    for name in ("generation_config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(real / name, folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_lm: Path, tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole speech LM with a soft-token adapter, saved as a user would save it."""
    folder = tmp_path_factory.mktemp("tiny-model")
    processor = InserterProcessor.from_parts(str(tiny_lm), str(tiny_encoder))
    model = InserterForConditionalGeneration.from_parts(
        str(tiny_lm),
        str(tiny_encoder),
        processor.tokens,
        adapter="soft_token",
        adapter_hidden_size=32,
        audio_token_id=processor.audio_token_id,
        document_start_id=processor.document_start_id,
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def params() -> Params:
    return small_params()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of this session have."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def databases(shared: Path) -> Databases:
    return Databases(shared / "databases")


@pytest.fixture(scope="session")
def prefect_server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API's address of a real server with a home of its own."""
    quiet()
    home = tmp_path_factory.mktemp("prefect")
    databases.prefect(home)
    os.environ["PREFECT_HOME"] = str(home)
    port = server.free_port()
    process = server.start(port)
    try:
        server.wait(f"http://127.0.0.1:{port}/api/health", process, "the Prefect server")
        yield f"http://127.0.0.1:{port}/api"
    finally:
        guard.stop(process)
        del os.environ["PREFECT_HOME"]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Playwright keeps an event loop running. Tests of other files may start one of their own."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: it is in the extra `dev`")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser) -> Iterator:
    """open_page(url, size, scheme, ready) -> page, when `ready` is on it.

    In the end: no console message, no error, no request to elsewhere.
    """
    contexts, trouble = [], []

    def opened(url: str, size: tuple[int, int] = WIDE, scheme: str = "light", ready: str = ".item"):
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: trouble.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        # a player that has what it needs drops the rest of the file: ERR_ABORTED
        page.on("requestfailed", lambda r: r.failure == "net::ERR_ABORTED" or trouble.append(f"{r.failure}: {r.url}"))
        page.on("dialog", lambda dialog: (trouble.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        outside = ("file:", "data:", "http://127.0.0.1:", "blob:http://127.0.0.1:")
        page.on("request", lambda request: request.url.startswith(outside) or trouble.append(f"request: {request.url}"))
        page.goto(url)
        page.wait_for_selector(ready)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []
