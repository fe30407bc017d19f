"""What the executors' tests run in their workers, which import it by name."""

import os
import time
from pathlib import Path

from inserter.errors import InserterError

STATE: dict[str, int] = {}


def prepare(value: int) -> None:
    STATE["value"] = value


def square(number: int) -> tuple[int, int, int]:
    """(its square, what the initialiser left, the process)."""
    return number * number, STATE.get("value", 0), os.getpid()


def square_slowly(number: int) -> tuple[int, int, int]:
    time.sleep(0.05)
    return square(number)


def refuse(number: int) -> int:
    if number == 5:
        raise InserterError("five is not spoken", "Leave it out")
    return number


def logged(task: tuple[str, int]) -> int:
    """Leaves a line (process, number) in the file of the task before it works for a while."""
    with Path(task[0]).open("a") as file:
        file.write(f"{os.getpid()} {task[1]}\n")
    time.sleep(0.05)
    return task[1]


def die(number: int) -> int:
    os.kill(os.getpid(), 9)
    return number
