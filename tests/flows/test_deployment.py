"""`prefect.yaml` on a real server: deployed, scheduled, and run by a real worker."""

import os
import shutil
import subprocess
import sys

from checkout import ROOT
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from toy_project import Toy


def prefect(api: str, *arguments: str) -> None:
    environment = {**os.environ, "PREFECT_API_URL": api}
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_worker_runs_the_nightly_deployment(toy: Toy, prefect_api: str) -> None:
    shutil.copy(ROOT / "prefect.yaml", toy.folder)
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="inserter", type="process"))
        prefect(prefect_api, "deploy", "--all")
        deployment = client.read_deployment_by_name("inserter/nightly")
        assert [getattr(schedule.schedule, "cron", None) for schedule in deployment.schedules] == ["0 3 * * *"]
        run = client.create_flow_run_from_deployment(deployment.id, parameters={"stages": ["two"]})
        prefect(prefect_api, "worker", "start", "--pool", "inserter", "--run-once", "--limit", "1")
        state = client.read_flow_run(run.id).state
    assert state and state.is_completed(), state
    assert toy.ran() == ["stage one", "check one", "gate one", "stage two"]
