"""A refusal in the form in which OpenAI's API reports errors."""

import sys
from collections.abc import Mapping
from typing import TypedDict

from starlette.responses import JSONResponse

LONGEST = 1_000  # characters of a message, which may quote a request of megabytes
CLIENT_GONE = 499  # the status of a request whose client has gone; only the metrics have it


class Problem(TypedDict):
    """What went wrong, for programs and people."""

    message: str
    type: str
    param: str | None
    code: str | None


class ApiError(Exception):
    """A request that is refused, or fails. Clients raise the exception that fits `status`.

    message: one line.
    code: a word for programs.
    param: the parameter that is wrong.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str | None = None,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        line = " ".join(message.split())
        super().__init__(line if len(line) <= LONGEST else line[: LONGEST - 1] + "…")
        self.status, self.code, self.param, self.headers = status, code, param, headers

    def body(self) -> dict[str, Problem]:
        """Return OpenAI's error object."""
        kind = "server_error" if self.status >= 500 else "rate_limit_error" if self.status == 429 else "invalid_request_error"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> JSONResponse:
        """Return the HTTP response with this error."""
        return JSONResponse(self.body(), self.status, self.headers)


def too_slow(seconds: float) -> ApiError:
    """Return the error (504) of an answer that took longer than `seconds`."""
    return ApiError(504, f"the answer took more than {seconds:g} s. Ask for fewer tokens, or try again later", "timeout")


def failed(error: Exception) -> ApiError:
    """Return the reply to a request that the model fails at, and print the reason."""
    why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    print(f"inserter serve: {why}", file=sys.stderr, flush=True)
    return ApiError(500, f"the model cannot answer this ({why})", "failed")
