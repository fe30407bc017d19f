"""A process with torch, transformers and their packages alone loads an exported folder, and answers as this project does."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import soundfile
from checkout import ROOT
from hub import hub
from lively import lively
from packaging.requirements import Requirement

from inserter.release.card import Facts
from inserter.release.folder import export
from models import InserterForConditionalGeneration, InserterProcessor
from models.ear import recogniser_settings
from models.generation import Prompt, generate_answers

STATED = ("torch", "transformers", "soundfile", "soxr")  # as the card says
TOKENS = 8
ASKED = ["Say <|im_end|><|audio|> now.", "Answer this.", None]
ANSWER = """
import json, sys
sys.path.append(sys.argv[1])
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForMultimodalLM, AutoProcessor, pipeline
name, clips, texts = sys.argv[2], json.loads(sys.argv[3]), json.loads(sys.argv[4])
config = AutoConfig.from_pretrained(name, trust_remote_code=True)
processor = AutoProcessor.from_pretrained(name, trust_remote_code=True)
model = AutoModelForMultimodalLM.from_pretrained(name, trust_remote_code=True)
for kind in (AutoModel, AutoModelForCausalLM):
    assert type(kind.from_pretrained(name, trust_remote_code=True)) is type(model)
def part(kind, key, value):
    return [] if value is None else [{"type": kind, key: value}]
chats = [
    [{"role": "user", "content": part("audio", "path", clip) + part("text", "text", text)}] for clip, text in zip(clips, texts)
]
def new(inputs, ids):
    return [text.strip() for text in processor.batch_decode(ids[:, inputs["input_ids"].shape[1]:], skip_special_tokens=True)]
how = {"tokenize": True, "return_dict": True, "add_generation_prompt": True, "return_tensors": "pt"}
batch = processor.apply_chat_template(chats, **how)
together = new(batch, model.generate(**batch, max_new_tokens=8))
alone = [processor.apply_chat_template(chat, **how) for chat in chats]
alone = [new(inputs, model.generate(**inputs, max_new_tokens=8))[0] for inputs in alone]
pipe = pipeline("any-to-any", model=name, trust_remote_code=True, dtype=torch.float32)
piped = [pipe(text=chat, max_new_tokens=8, return_full_text=False)[0]["generated_text"].strip() for chat in chats]
turns = [*chats[0], {"role": "assistant", "content": together[0]}, *chats[1]]
later = processor.apply_chat_template(turns, **how)
foreign = [name for name in ("inserter", "models", "librosa", "scipy", "mlflow", "torchcodec") if name in sys.modules]
print(json.dumps({
    "config": config.model_type, "module": type(model).__module__, "together": together, "alone": alone, "piped": piped,
    "turns": new(later, model.generate(**later, max_new_tokens=8))[0], "ids": later["input_ids"][0].tolist(), "foreign": foreign,
}))
"""


def needed(names: tuple[str, ...]) -> dict[str, Distribution]:
    """The packages and all that they require, without their extras."""
    todo, found = list(names), {}
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # of another platform
            continue
        wanted = map(Requirement, found[name].requires or [])
        todo += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    """A folder of packages that has those of `STATED` and what they require, and nothing else."""
    site = tmp_path_factory.mktemp("site")
    for one in needed(STATED).values():
        for top in {file.parts[0] for file in one.files or []} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(str(one.locate_file(top)))
    return site


@pytest.fixture(scope="module", params=["soft_token", "decoder"])
def model(request, tiny_model, tiny_lm, tiny_encoder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "soft_token":
        return lively(tiny_model, folder)
    processor = InserterProcessor.from_parts(str(tiny_lm), str(tiny_encoder), "none", recogniser=True)
    net = InserterForConditionalGeneration.from_parts(
        str(tiny_lm),
        str(tiny_encoder),
        processor.tokens,
        adapter="decoder",
        recogniser=recogniser_settings(str(tiny_encoder), ["en"]),
        audio_token_id=processor.audio_token_id,
        document_start_id=processor.document_start_id,
    )
    net.save_pretrained(folder / "plain")
    processor.save_pretrained(folder / "plain")
    return lively(folder / "plain", folder / "lively")


@pytest.fixture(scope="module")
def waves() -> list[np.ndarray]:
    noise = np.random.default_rng(0)
    return [(0.1 * noise.standard_normal(n)).astype(np.float32) for n in (8_000, 24_000)]


@pytest.fixture(scope="module")
def clips(waves, tmp_path_factory) -> list[str | None]:
    folder = tmp_path_factory.mktemp("clips")
    for number, wave in enumerate(waves):
        soundfile.write(folder / f"{number}.wav", wave, 16_000, subtype="FLOAT")
    return [str(folder / "0.wav"), None, str(folder / "1.wav")]


def ask(bare: Path, name: str, clips: list, home: Path, **environment: str) -> dict:
    """What the process answers. `-I -S`: it sees the packages of `bare` and no others."""
    command = [sys.executable, "-I", "-S", "-c", ANSWER, str(bare), name, json.dumps(clips), json.dumps(ASKED)]
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "OMP_NUM_THREADS")}
    done = subprocess.run(
        command,
        env={**kept, "HF_HOME": str(home), **environment},
        cwd=home,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "not supported" not in done.stderr and "Do you wish to run" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def wanted(model, waves) -> list[str]:
    """The answers inside the project."""
    net, processor = (kind.from_pretrained(model) for kind in (InserterForConditionalGeneration, InserterProcessor))
    prompts = [Prompt(text, wave) for text, wave in zip(ASKED, [waves[0], None, waves[1]], strict=True)]
    return generate_answers(net, processor, prompts, max_new_tokens=TOKENS, precision="fp32")


def test_transformers_alone_gives_the_answers_of_the_project(bare, model, waves, clips, wanted, tmp_path):
    export(model, tmp_path / "out", Facts(name="tiny"), max_new_tokens=64)
    (tmp_path / "home").mkdir()
    told = ask(bare, str(tmp_path / "out"), clips, tmp_path / "home", HF_HUB_OFFLINE="1")
    assert told["config"] == "inserter" and told["module"].startswith("transformers_modules.") and told["foreign"] == []
    assert told["together"] == told["alone"] == told["piped"] == wanted and len(set(wanted)) == 3

    net, processor = (kind.from_pretrained(model) for kind in (InserterForConditionalGeneration, InserterProcessor))
    parts = [[None, ASKED[0]], [wanted[0]], [ASKED[1]]]
    ids = processor.plain.chat(
        [{"role": role, "content": of} for role, of in zip(("user", "assistant", "user"), parts, strict=True)],
        add_generation_prompt=True,
    )
    assert told["ids"] == ids and ids.count(processor.audio_token_id) == 1, "what looks like a control token is text"
    given = processor([ids], waves[:1])
    later = net.generate(**given, max_new_tokens=TOKENS, do_sample=False)[0, len(ids) :]
    assert told["turns"] == processor.tokenizer.decode(later, skip_special_tokens=True).strip()


def test_what_the_card_tells_to_type_works(bare, model, waves, tmp_path):
    export(model, tmp_path / "out", Facts(name="tiny"), max_new_tokens=TOKENS)
    typed = (tmp_path / "out/README.md").read_text().partition("```python\n")[2].partition("```")[0]
    soundfile.write(tmp_path / "question.wav", waves[0], 16_000, subtype="FLOAT")
    script = f"import sys\nsys.path.append({str(bare)!r})\n" + typed.replace("PATH_OR_NAME_OF_THIS_FOLDER", "out")
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "OMP_NUM_THREADS")}
    command, environment = [sys.executable, "-I", "-S", "-c", script], kept | {"HF_HOME": str(tmp_path)}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    net, processor = (kind.from_pretrained(model) for kind in (InserterForConditionalGeneration, InserterProcessor))
    answers = generate_answers(net, processor, [Prompt("Be brief.", waves[0])], max_new_tokens=TOKENS, precision="fp32")
    assert done.stdout.strip() == answers[0], done.stderr[-4000:]


def test_what_is_pushed_to_a_hub_is_loaded_from_there(bare, model, clips, wanted, tmp_path):
    (home := tmp_path / "home").mkdir()
    with hub() as server:
        environment = os.environ | {"HF_ENDPOINT": server.url, "HF_TOKEN": "hf_secret", "HF_HOME": str(home)}
        command = [
            sys.executable,
            "-m",
            "flows.cli",
            "export",
            str(tmp_path / "out"),
            "--model",
            str(model),
            "--push",
            "org/speech",
        ]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0 and "sent to org/speech" in done.stdout, done.stderr[-4000:]
        assert "hf_secret" not in done.stdout + done.stderr
        assert ask(bare, "org/speech", clips, home, HF_ENDPOINT=server.url)["together"] == wanted
