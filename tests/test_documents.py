"""What the README and docs tell a reader to type works: every command is run as it is written, or a reason says why not; and every
piece of parameters loads, and is read back as it was once DVC has written it."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT
from dvc.utils.serialize import load_yaml, modify_yaml
from judge_server import JudgeServer, every

from inserter.params import Params, checked, laid_over, load
from inserter.yaml_files import dump_yaml, parse_yaml, read_yaml

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
GUIDES = [path for path in DOCUMENTS if path.name not in ("LOG.md", "RESULTS.md")]  # those tell what was done
PROCESSES = "tests/training/test_training_processes.py"
LMMS = "tests/doors/test_lmms_eval.py"
NOT_RUN = {  # command: why, or the test that runs it
    "make run": "tests/e2e/test_whole_pipeline.py",
    "make test": "it runs this",
    "make ui": "tests/flows/test_ui.py",
    "make bench": "tests/flows/test_bench.py",
    'make bench ENTRY="verify answers" BENCH_AGAINST=HEAD~9': "tests/flows/test_bench_against.py",
    "make experiment": "tests/flows/test_ablate.py",
    "make gpu": "needs a GPU",
    "inserter ablate one-gpu": "needs a GPU",
    "python -m flows.gpu_check --pack bundle --hours 4": "tests/flows/test_gpu_check.py",
    "python -m flows.gpu_check --bundle bundle --minutes 10 --out out": "tests/flows/test_gpu_check.py",
    ".venv/bin/inserter ask question.wav": "tests/flows/test_cli.py",
    ".venv/bin/inserter hear question.wav --asr": "tests/flows/test_cli.py",
    ".venv/bin/inserter clip UTT_ID --out clip.flac": "tests/flows/test_cli.py",
    "inserter ablate main": "tests/flows/test_ablate.py",
    "inserter plan": "tests/flows/test_plan.py",
    "inserter plan --overlay docs/paper.yaml --processes 64": "tests/flows/test_plan.py",
    "inserter plan --tflops 989 --utilisation 0.4": "tests/flows/test_plan.py",
    "inserter export out": "tests/release/test_export.py",
    "inserter promote": "tests/flows/test_promotion.py",
    'inserter promote --version 3 --force --because "TEXT"': "tests/flows/test_promotion.py",
    'inserter rollback --because "TEXT"': "tests/flows/test_promotion.py",
    "inserter evaluate": "tests/stages/test_register.py",
    "prefect work-pool create inserter --type process": "tests/flows/test_deployment.py",
    "prefect --no-prompt deploy --all": "tests/flows/test_deployment.py",
    "prefect worker start --pool inserter": "tests/flows/test_deployment.py",
    "mlflow models serve -m models:/inserter@champion --env-manager local --port 5001": "tests/flows/test_serving.py",
    'printf \'{"dataframe_records": [{"audio": "%s", "text": "Answer in one sentence."}]}\' "$(base64 -w0 question.wav)" | '
    "curl http://127.0.0.1:5001/invocations -H 'Content-Type: application/json' -d @-": "tests/flows/test_serving.py",
    ".venv/bin/inserter serve": "tests/flows/test_serve_limits.py",
    "inserter serve": "tests/flows/test_serve_limits.py",
    'printf \'{"messages": [{"role": "user", "content": [{"type": "input_audio", '
    '"input_audio": {"format": "wav", "data": "%s"}}]}]}\' "$(base64 -w0 question.wav)" | '
    "curl http://127.0.0.1:8000/v1/chat/completions -H 'Content-Type: application/json' -d @-": "tests/flows/test_serve.py",
    "curl http://127.0.0.1:8000/v1/audio/transcriptions -F file=@question.wav": "tests/flows/test_serve.py",
    "cp mlflow.db mlflow.db.saved": "this checkout has no registry",
    "mlflow db upgrade sqlite:///mlflow.db": "it would make a registry",
    "hf download ddwang2000/SpeechInstructBench --repo-type dataset --local-dir SpeechInstructBench": "a download of 9.6 GB",
    'pip install -e ".[ray]"': "a download",
    "inserter run benchmark": "tests/stages/test_benchmark.py",
    "inserter answer closed --endpoint http://localhost:8000/v1 --model NAME": "tests/scoring/test_answer.py",
    "inserter answer all --hf ORG/NAME --form read": "tests/scoring/test_answer_local.py",
    "inserter score closed answers/NAME/closed.jsonl --intervals": "tests/scoring/test_answer.py",
    "inserter judge open answers/NAME/open.jsonl --out answers/NAME/open-judged.jsonl": "tests/scoring/test_judge_command.py",
    "inserter score open answers/NAME/open-judged.jsonl --intervals": "tests/scoring/test_breakdown.py",
    "inserter compare answers/NAME/closed.jsonl answers/OTHER/closed.jsonl": "tests/flows/test_compare.py",
    "inserter page answers/NAME answers/OTHER --out benchmark.html": "tests/scoring/test_page.py",
    "inserter dataset spoken-instructions": "tests/scoring/test_dataset.py",
    "python -m lmms_eval --model qwen2_audio --tasks speechinstructbench_closed --include_path integrations/lmms_eval": LMMS,
    "pip install .": "tests/scoring/test_light_install.py",
    "ray start --head --port 6379 --num-cpus 32": "tests/run/test_executor.py",
    "ray start --address HEAD:6379 --num-cpus 32": "a cluster",
    "vllm serve FunAudioLLM/Fun-CosyVoice3-0.5B-2512 --omni --port 8091 --trust-remote-code": "a download, and a GPU",
    'INSERTER_TORCHRUN="--standalone --nproc-per-node 8 --max-restarts 3" dvc repro pretrain': PROCESSES,
    "python -m stages.pretrain": PROCESSES,
}


def _blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def _commands(path: Path) -> Iterator[str]:
    """The commands of the document's shell blocks, each on one line and without its comment."""
    for block in _blocks(path, "bash"):
        for line in re.sub(r"\\\n\s*|(?<=\|)\n\s*", " ", block).splitlines():
            command = re.sub(r"\s+", " ", re.sub(r"(^|\s{2,})#.*", "", line)).strip()
            if command:
                yield command


def _known(command: str) -> bool:
    return command in NOT_RUN or command.startswith("export ")  # settings: an address or a key of the reader's own


def _run(folder: Path, command: str, **variables: str) -> str:
    """What `command` prints, run as a reader would in the checkout `folder`, its environment activated."""
    path = f"{folder}/.venv/bin{os.pathsep}{os.environ['PATH']}"
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("INSERTER_", "DVC_", "GIT_"))}
    environment = inherited | {"PATH": path, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1", **variables}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


TOY = """
import re, sys
from pathlib import Path
import yaml

name, key = sys.argv[0].split("/")[-2], "".join(sys.argv[1:])
stages = {n: s.get("do", s) for n, s in yaml.safe_load(open("dvc.yaml"))["stages"].items()}
outs = [out for part in ("outs", "metrics", "plots") for out in stages[name].get(part, [])]
made = [(next(iter(out)) if isinstance(out, dict) else out).replace("${key}", key) for out in outs]
within = tuple(f"{path}/" for path in made)
inside = [path for path in re.findall(r"data/[\\w./-]+", open("dvc.yaml").read()) if path.startswith(within)]
for path in map(Path, [*made, *inside]):
    if path.suffix:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("step,loss\\n1,1\\n" if path.suffix == ".csv" else '{"figure": 1}')
    else:
        path.mkdir(parents=True, exist_ok=True)
        (path / "made").write_text(name)
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commit of the project with its own graph and parameters. Its stages only write what the graph says that they write."""
    folder = tmp_path_factory.mktemp("documents") / "checkout"
    shutil.copytree(ROOT / "docs", folder / "docs")
    for name in ("flows", "stages", "inserter", "models"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for main in folder.glob("stages/*/__main__.py"):
        if main.parent.name != "sources":  # it runs every time, and nothing must follow from it
            main.write_text(TOY)
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv").symlink_to(sys.prefix)
    for command in ("git init -q", "dvc init -q", "git config user.name reader", "git config user.email reader@example.org"):
        _run(folder, command)
    _run(folder, "git add -A && git commit -qm start")
    return folder


ADJUSTED = json.dumps({"follow_before_adjust": "NO", "follow_after_adjust": "YES", "after_adjust_content_correct": "YES"})


def _answers(folder: Path) -> None:
    """Of another system, and of an evaluation."""
    closed = {
        "key": "1",
        "prompt": "No commas.",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
        "response": "None.",
    }
    judged = {"clean_response": "Rain.", "decomposed_questions": ["Is it about rain?", "Is it a poem?"]}
    opened = {"task": "open", "form": "heard", "clean_prompt": "Rain?", "questions": judged["decomposed_questions"]}
    corrected = closed | {"pred_score": [ADJUSTED]}
    files = {"answers": closed | judged, "responses": closed, "corrections": corrected, "data/evaluate/responses": closed | opened}
    for name, record in files.items():
        path = folder / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record) + "\n")


def test_every_command_is_run_or_has_a_reason(checkout: Path) -> None:
    """In the order they stand in, as one reader would."""
    with JudgeServer(
        usual=lambda request: every(ADJUSTED if "follow_after_adjust" in request.text else '["YES", "NO"]')(request)
    ) as server:
        judge = {"INSERTER_JUDGE_BASE_URL": server.url, "INSERTER_JUDGE_MODEL": "m", "INSERTER_JUDGE_API_KEY": "k"}
        for document in GUIDES:
            _answers(checkout)
            for command in _commands(document):
                if not _known(command):
                    _run(checkout, command, **judge)
    assert load(checkout / "params.yaml").pretrain.steps == 400, "`dvc exp run -S` has done what it says"


def test_a_reason_is_about_a_command_that_is_there_and_a_test_that_is_there() -> None:
    assert NOT_RUN.keys() <= {command for document in GUIDES for command in _commands(document)}
    assert [why for why in NOT_RUN.values() if why.startswith("tests/") and not (ROOT / why).is_file()] == []


@pytest.mark.parametrize("how", ["", "--temp", "--queue"])
def test_an_experiment_starts_with_any_parameter_and_has_its_value(checkout: Path, how: str) -> None:
    before = load(checkout / "params.yaml").model_dump()
    changes = "-S benchmark.voices.en.voice=embedded:joe -S verify.second_opinion.model=org/name:tiny -S warmup.lr=2e-5"
    _run(checkout, f"dvc exp run {how} {changes} --name ours{how} benchmark")
    if how == "--queue":
        assert "ours--queue" in _run(checkout, "dvc queue status")
        _run(checkout, "dvc queue remove --all")
        assert load(checkout / "params.yaml").model_dump() == before
        return
    params = checked(
        parse_yaml(_run(checkout, f"git show $(git for-each-ref --format='%(refname)' | grep ours{how}$):params.yaml"), ""), ""
    )
    assert params.benchmark.voices.en.voice == "embedded:joe"
    assert params.verify.second_opinion and params.verify.second_opinion.model == "org/name:tiny" and params.warmup.lr == 2e-5
    assert params.synthesize.model_dump() == before["synthesize"] and params.corpus.model_dump() == before["corpus"]
    assert "2e-05" in _run(checkout, "dvc exp show --csv")


INLINE = re.compile(r"`((?:inserter|dvc|make) [^`]+)`")


@pytest.mark.parametrize("document", GUIDES, ids=lambda path: path.name)
def test_commands_in_running_text_are_understood(document: Path) -> None:
    """Their names and options are known; placeholders (NAME, X) are left as they are."""
    from click.testing import CliRunner
    from dvc.cli import parse_args

    from flows.cli import app

    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for command in INLINE.findall(text):
        name, *arguments = shlex.split(" ".join(command.split()))
        if name == "dvc":
            parse_args(arguments)
        elif name == "make":
            assert [word for word in arguments if "=" not in word and word not in targets] == [], command
        else:
            shown = CliRunner().invoke(app, [*arguments, "--help"])
            assert shown.exit_code == 0, (command, shown.output)


def _snippets() -> list[Any]:
    found = [(path.name, block) for path in GUIDES for block in _blocks(path, "yaml")]
    found += [(path.name, f"{{{text}}}") for path in GUIDES for text in re.findall(r"`(\w+\.\w+: [^`]+)`", path.read_text())]
    found += [(path.name, path.read_text(encoding="utf-8")) for path in sorted((ROOT / "docs").glob("*.yaml"))]
    return [pytest.param(text, id=f"{name}-{number}") for number, (name, text) in enumerate(found)]


@pytest.mark.parametrize("text", _snippets())
def test_parameters_of_the_documents_load_and_survive_dvc(tmp_path: Path, text: str) -> None:
    path, base = tmp_path / "params.yaml", read_yaml(ROOT / "params.yaml")
    path.write_text(text, encoding="utf-8")
    assert load_yaml(path) == read_yaml(path)
    with modify_yaml(path) as snippet:
        snippet["executor"] = "ray"
    assert load_yaml(path) == read_yaml(path) == parse_yaml(text, path) | {"executor": "ray"}
    params = laid_over(base, _nested(read_yaml(path)))
    assert isinstance(checked(params, "snippet"), Params)
    path.write_text(dump_yaml(params), encoding="utf-8")
    assert load_yaml(path) == read_yaml(path) == params


def _nested(raw: dict[str, Any]) -> dict[str, Any]:
    """A dotted key, as running text has it, as its section."""
    nested: dict[str, Any] = {}
    for key, value in raw.items():
        section, _, rest = key.partition(".")
        nested[section] = _nested({rest: value}) if rest else value
    return nested


# Documents whose Python is run by another test, which has what the lines need.
PYTHON_ELSEWHERE = {"SCALE.md": ("tests/tts/test_shards_datasets.py", "tests/doors/test_shards.py")}


def test_the_python_that_is_run_elsewhere_is_run_there() -> None:
    assert all((ROOT / test).is_file() for tests in PYTHON_ELSEWHERE.values() for test in tests)


@pytest.mark.parametrize(
    "document",
    [path for path in GUIDES if path.name not in PYTHON_ELSEWHERE and _blocks(path, "python")],
    ids=lambda path: path.name,
)
def test_the_python_of_the_documents_runs(checkout: Path, document: Path) -> None:
    for block in _blocks(document, "python"):
        script = checkout / "snippet.py"
        script.write_text("records = []\n" + block, encoding="utf-8")
        _run(checkout, "python snippet.py")


def test_every_language_of_a_block_is_one_that_is_tested() -> None:
    """A command in a block without a language would not be seen."""
    for document in GUIDES:
        for language, first in re.findall(r"^```(\w*)\n(.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)[::2]:
            assert language in ("bash", "yaml", "python", "json", "mermaid", ""), (document.name, language)
            assert language or not re.match(r"(inserter|dvc|make|python|pip|export) ", first), (document.name, first)
