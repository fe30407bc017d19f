"""The one exception that reaches a user: a line that names the remedy."""


class InserterError(Exception):
    """Something the user can mend. `str(error)` is one line: what is wrong, then what to do."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(" ".join(f"{problem}. {remedy}".split()) if remedy else " ".join(problem.split()))
