"""`inserter ask`: answer one clip with a model from a folder or the registry."""

from pathlib import Path
from typing import TYPE_CHECKING

from inserter.audio import clips as audio
from inserter.errors import InserterError
from inserter.params import Register, load
from inserter.paths import DATA
from inserter.run.runner import say

if TYPE_CHECKING:
    from inserter.training.models import Pair

FOLDER = DATA / "sft" / "model"


def answer(path: Path, text: str | None = None, model: str | None = None) -> str:
    """Return the model's answer to the audio file `path`, followed by `text` if given.

    model: a folder, or `models:/NAME@ALIAS` (or /VERSION). None: the registered champion, else
    data/sft/model.

    Raises InserterError if the audio cannot be read or there is no such model.
    """
    sound = audio.read_noted(path)
    for note in sound.notes:
        say(f"{path}: {note}")
    params = load()
    from models.generation import Prompt, generate_answers

    net, processor = loaded(model, params.register_)
    settings = params.evaluate
    question = Prompt(text=text, audio=sound.wave)
    return generate_answers(net, processor, [question], max_new_tokens=settings.max_new_tokens, precision=settings.precision)[0]


def loaded(model: str | None, register: Register) -> "Pair":
    """Return (model, processor) of a folder or a registered version; None: see `default_model`."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # only the answer is printed
    where = model or default_model(register)
    return _from_registry(where, register) if where.startswith("models:/") else _from_folder(where)


def default_model(register: Register) -> str:
    """Return `models:/NAME@champion` if it is registered, else the folder of the last training."""
    champion = aliases(register).get("champion")
    return f"models:/{register.model}@champion" if champion is not None else str(FOLDER)


def aliases(register: Register) -> dict[str, int]:
    """Return {alias: version} of the registered model.

    Return {} if there is no registry yet; none is made.
    """
    from inserter.registry.place import local_file
    from inserter.registry.tracking import connect

    local = local_file(register)
    if local and not local.exists():
        return {}
    found = connect(register).search_registered_models(f"name = '{register.model}'")
    return {alias: int(version) for alias, version in found[0].aliases.items()} if found else {}


def _from_folder(folder: str) -> "Pair":
    from inserter.release.folder import check_ours

    check_ours(Path(folder))
    from models import InserterForConditionalGeneration, InserterProcessor

    try:
        return InserterForConditionalGeneration.from_pretrained(folder), InserterProcessor.from_pretrained(folder)
    except Exception as error:  # of transformers, tokenizers or safetensors, each with errors of its own
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise InserterError(f"the model at {folder} cannot be loaded ({reason})", "Give the folder of another model") from error


def _remedy() -> str:
    if "%" in str(Path.cwd()):  # MLflow 3.17 decodes percent signs even in a plain path
        return "Rename the folder that has a % in its name: MLflow loads no model below it. Or give --model data/sft/model"
    return "Register a model with `inserter run`, or give --model data/sft/model, the last trained model"


def registered(uri: str, register: Register) -> tuple[str, str]:
    """Return the name and the version that models:/NAME@ALIAS or models:/NAME/VERSION names now.

    Raises InserterError if there is no such version.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.utils.models import get_model_name_and_version

    from inserter.registry.tracking import connect

    try:
        name, version = get_model_name_and_version(connect(register), uri)
    except MlflowException as error:
        raise _unknown(uri, register, error) from error
    return name, str(version)


def _from_registry(uri: str, register: Register) -> "Pair":
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc import load_model

    from inserter.registry.tracking import connect

    name, version = registered(uri, register)
    try:
        # Not load_model(uri): it writes a file beside the model. A read-only checkout refuses this.
        wrapped = load_model(connect(register).get_model_version_download_uri(name, version)).unwrap_python_model()
    except (MlflowException, OSError) as error:
        raise _unknown(uri, register, error) from error
    return wrapped.model, wrapped.processor


def _unknown(uri: str, register: Register, error: Exception) -> InserterError:
    known = ", ".join(f"@{alias} (version {version})" for alias, version in aliases(register).items())
    return InserterError(
        f"{uri} cannot be loaded ({' '.join(str(error).split())[:160]})",
        f"{register.model} has {known or 'no version'}. {_remedy()}",
    )
