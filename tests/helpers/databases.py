"""New databases of MLflow and Prefect, made once by these programs and then copied. Making one takes ten seconds."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

MLFLOW = "from mlflow import MlflowClient; MlflowClient('sqlite:///mlflow.db').search_experiments()"


class Databases:
    """Those of one session, for all its test processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mlflow(self, path: Path) -> None:
        """Copy an MLflow store without runs to `path`."""
        shutil.copy(self._made("mlflow.db", "-c", MLFLOW), path)

    def prefect(self, home: Path) -> None:
        """Give the PREFECT_HOME `home` the database of a server that has run nothing."""
        home.mkdir(exist_ok=True)
        shutil.copy(self._made("prefect.db", "-m", "prefect", "server", "database", "upgrade", "-y"), home)

    def _made(self, name: str, *command: str) -> Path:
        self.folder.mkdir(exist_ok=True)
        with FileLock(self.folder / f"{name}.lock"):
            made = self.folder / name
            if not made.exists():
                place = self.folder / f"{name}-in-work"
                place.mkdir()
                environment = os.environ | {"PREFECT_HOME": str(place)}
                subprocess.run([sys.executable, *command], cwd=place, env=environment, check=True, capture_output=True)
                (place / name).rename(made)
        return made
