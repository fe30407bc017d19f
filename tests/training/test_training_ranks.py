"""Ranks that are slow, hang or die, and what ranks share out: two real processes over gloo."""

import os
import shutil
import signal

import pytest
import ranks
from checkout import ROOT

STAGE = """
import os, signal, time
from datetime import timedelta
from inserter.training.processes import *

def main(params):
    join(step=timedelta(seconds=1), part=timedelta(minutes=5))
{body}
    return {{}}

run_training_stage("pretrain", main)
"""


def staged(body: str) -> str:
    """A stage whose collectives within a step wait for a second, and all others for five minutes."""
    return STAGE.format(body="\n".join(f"    {line}" for line in body.strip().splitlines()))


@pytest.fixture
def folder(tmp_path):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


WORKS = "time.sleep(2)  # twice as long as a step may take"


def test_between_parts_a_rank_may_work_longer_than_a_step_may_take(folder):
    """Before a barrier, before the others in `main_first`, before what is sent and before what is gathered."""
    told = ranks.finish(
        staged(
            f"""
if rank() == 1:
    {WORKS}
barrier()
with main_first():
    if rank() == 0:
        {WORKS}
        open("made", "w").close()
    assert os.path.exists("made")
if rank() == 0:
    {WORKS}
sent = from_main({{"rank": rank()}})
if rank() == 1:
    {WORKS}
print(sent, gathered([item * item for item in my_share(range(5))]), summed(rank()))
"""
        ),
        folder,
    )
    assert [text.splitlines()[-1] for text in told] == ["{'rank': 0} [0, 1, 4, 9, 16] [1.0]"] * 2


@pytest.mark.parametrize("signalled", ["SIGKILL", "SIGSTOP"], ids=["dies", "hangs"])
def test_a_rank_that_is_lost_in_a_step_ends_the_others_with_one_line(folder, signalled):
    one, lost = ranks.start(staged(f"if rank() == 1:\n    os.kill(os.getpid(), signal.{signalled})\nsummed(1.0)"), folder)
    try:
        assert one.wait(300) == 1
    finally:
        os.kill(lost.pid, signal.SIGKILL)
        lost.wait()
    (line,) = ranks.log(folder, 0).read_text().splitlines()
    assert line.startswith("pretrain, rank 0: another rank has died or hangs (")


def test_an_error_that_nobody_foresaw_stands_under_its_rank(folder):
    one, other = ranks.start(staged("if rank() == 1:\n    raise RuntimeError('a defect')\nbarrier()"), folder)
    assert other.wait(300) == 1 and one.wait(300) == 1
    assert "[rank1]: RuntimeError: a defect" in ranks.log(folder, 1).read_text()
