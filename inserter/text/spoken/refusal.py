"""What cannot be read aloud is refused: a sign that is spoken as nothing would be learnt as silence."""


class CannotRead(Exception):
    """There is no reading of this text. `reason` names the kind of sign or number; reports count by it, so it is one of few."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
