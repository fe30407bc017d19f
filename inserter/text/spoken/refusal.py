"""Refuse text that cannot be read aloud: a model would learn an unspoken sign as silence."""


class CannotRead(Exception):
    """There is no reading of this text.

    `reason` names the kind of sign or number. Reports count by `reason`, so its values should be
    few.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
