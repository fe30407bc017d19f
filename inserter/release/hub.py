"""Send an exported model to a hub: the one at HF_ENDPOINT, or Hugging Face's."""

from pathlib import Path

from inserter.errors import InserterError


def check_access(repository: str) -> None:
    """Raise InserterError if the name is not ORG/NAME, or if this process has no token.

    Nothing is sent.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise InserterError(f"{repository!r} is no name on a hub ({error})", "Give ORG/NAME") from error
    if repository.count("/") != 1:
        raise InserterError(f"{repository!r} is no name on a hub", "Give ORG/NAME")
    if not get_token():
        raise InserterError("there is no token for the hub", "Set HF_TOKEN to a token that may write, from the hub's settings")


def push(folder: Path, repository: str) -> None:
    """Send all files of `folder` to `repository`, which is made if it is new, and private then.

    Raises InserterError if the hub cannot be reached or refuses. The folder stays as it is.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HTTPError

    hub = HfApi()
    try:
        hub.create_repo(repository, private=True, exist_ok=True)
        hub.upload_folder(repo_id=repository, folder_path=folder, commit_message="Export from inserter")
    except HfHubHTTPError as error:
        raise _refusal(error, folder, f"the hub refused {repository}: check that HF_TOKEN may write there") from error
    except (HTTPError, OSError) as error:
        raise _refusal(error, folder, f"the hub at {hub.endpoint} cannot be reached: check the network and HF_ENDPOINT") from error


def _refusal(error: Exception, folder: Path, problem: str) -> InserterError:
    remedy = f"The folder {folder} is complete: `hf upload ORG/NAME {folder}` sends it"
    return InserterError(f"{problem} ({' '.join(str(error).split())[:200]})", remedy)
