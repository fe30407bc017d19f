"""Run the commands `inserter ablate` and `inserter experiment` around the flow."""

from collections.abc import Callable
from pathlib import Path

from flows.ablate import copies
from flows.ablate.arms import ARMS, Experiment, overlaid, read_arms, select
from flows.ablate.results import new, read_prompts, read_results
from flows.ablate.tables import PAGE, write_page
from flows.run import INTERRUPTED, interruptible, quiet_prefect
from inserter.errors import InserterError
from inserter.paths import WORK
from inserter.run.lifetime import stage_lock
from inserter.run.runner import say


def show_groups(groups: list[str], arm: str | None, seed: int | None, *, source: Path = ARMS) -> None:
    """Print one line per experiment: its name and what it sets beyond the base."""
    arms = read_arms(source)
    for found in select(arms, groups, arm, seed=seed, source=source):
        own = arms.groups[found.group].arms[found.arm].set
        print(f"{found.name}: {', '.join(f'{key}={value}' for key, value in own.items()) or 'no override'}")


def show_new(groups: list[str], arm: str | None, seed: int | None, *, source: Path = ARMS) -> None:
    """Print which experiments would run, after a check of every parameter."""
    for found, _, key in new(select(read_arms(source), groups, arm, seed=seed, source=source), copies.commit()):
        print(f"{found.name}: would run ({key}): {found.command}")


def renew_tables(source: Path = ARMS) -> None:
    write_page(read_results(), read_prompts(), read_arms(source))
    say(f"{PAGE}: {len(read_results())} results")


def ablate(groups: list[str], arm: str | None, seed: int | None, *, source: Path = ARMS) -> int:
    """Run what has no result yet, renew the tables, and return the exit code.

    Raises InserterError if an experiment failed.
    """
    arms = read_arms(source)
    chosen = select(arms, groups, arm, seed=seed, source=source)

    def flow() -> dict[str, str]:
        from flows.ablate.flow import ablate as run_flow

        return run_flow(groups, arm, seed, arms_file=None if source == ARMS else str(source))

    return _run(chosen, flow, source)


def experiment(overlay: Path, name: str, seed: int) -> int:
    chosen = overlaid(overlay, name, seed)

    def flow() -> dict[str, str]:
        from flows.ablate.flow import experiment as run_flow

        return run_flow(str(overlay), name, seed)

    code = _run([chosen], flow, ARMS)
    if code == 0:
        model = copies.HOME / chosen.name / copies.git("rev-parse", "--show-prefix") / "data/sft/model"
        say(f"model: {model}")
        say(f"ask the model: inserter ask question.wav --model {model}")
    return code


def _run(chosen: list[Experiment], flow: Callable[[], dict[str, str]], source: Path) -> int:
    revision = copies.commit()
    if changed := copies.not_committed():
        say(f"the experiments leave out uncommitted changes: {', '.join(changed)}")
    with stage_lock(WORK / "ablate.lock"):
        if waiting := new(chosen, revision):
            say(f"experiments to run: {len(waiting)} of {len(chosen)}, at commit {revision[:12]}; starting Prefect ...")
            interruptible()
            quiet_prefect()
            from flows.server import api

            try:
                with api():
                    failed = flow()
            except KeyboardInterrupt:
                say("stopped; recorded results are kept: run the same command to resume")
                return INTERRUPTED
            if read_results():
                renew_tables(source)
            if failed:
                raise InserterError(
                    f"{len(failed)} of {len(chosen)} experiments failed: {', '.join(failed)}",
                    f"Correct the errors above, then run the same command to resume. The working copies are in {copies.HOME}/",
                )
        else:
            say("all results for this code and these parameters are already recorded")
            renew_tables(source)
    return 0
