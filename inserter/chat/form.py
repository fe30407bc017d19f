"""Adapt requests to a server: rename a parameter that it refuses by name, or leave it out."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from inserter.chat.settings import ChatSettings
from inserter.endpoint import error_of

Message = Mapping[str, object]  # of a chat: role and content

# OpenAI's reasoning models know only the second name.
LENGTHS = ("max_tokens", "max_completion_tokens")
# A request that is too long for the model says nothing of other requests, though servers name
# max_tokens in such an error.
TOO_LONG = re.compile(
    r"context[ _](?:length|window|limit|size)|too long|(?:input|prompt)\b.{0,40}\b(?:length|exceeds?|tokens)|reduce the length",
    re.IGNORECASE | re.DOTALL,
)
# Errors that refuse n without its name: "Only one completion choice is allowed" (llama.cpp),
# "Multiple candidates is not enabled" (Gemini).
ONE_ALONE = re.compile(
    r"\b(?:multiple|only (?:one|1|a single)|more than (?:one|1))\s+(?:completions?|choices?|candidates?|generations?|responses?)\b",
    re.IGNORECASE,
)
# Characters between the names of parameters that are refused together ("`temperature` and `top_p`
# cannot both be given").
NEAR = 25


@dataclass(frozen=True)
class Form:
    """How requests are put."""

    left_out: frozenset[str] = frozenset()
    """The parameters that are not sent."""

    length: str = LENGTHS[0]
    """The name under which max_tokens is sent."""

    one: bool = False
    """Whether a request asks for one completion only (n is 1)."""

    stream: bool = False
    """Whether the answer comes as a stream."""

    def asked(self, n: int) -> int:
        """Return how many completions a request asks for if `n` are wanted."""
        return 1 if self.one else n

    def body(self, settings: ChatSettings, messages: Sequence[Message], n: int) -> dict[str, object]:
        """Return the body of a request for `n` completions."""
        sent = self._sampling(settings) | {"n": self.asked(n)}
        kept = {name: value for name, value in sent.items() if value is not None and name not in self.left_out}
        return {"model": settings.model, "messages": messages, **kept, **({"stream": True} if self.stream else {})}

    def _sampling(self, settings: ChatSettings) -> dict[str, object]:
        return {"temperature": settings.temperature, "top_p": settings.top_p, self.length: settings.max_tokens}

    def after(self, error: object, settings: ChatSettings, n: int) -> "Form | None":
        """Return the form to try after a refusal with the body `error`.

        Return None if the error names no parameter, or the request is too long for the model.
        """
        sent = [name for name in (*self._sampling(settings), "n") if name not in self.left_out]
        text = "\n".join(_strings(error))
        name = _named(error, text, sent)
        if name == self.length and TOO_LONG.search(text):
            return None
        if name is None and self.asked(n) > 1 and ONE_ALONE.search(text):
            name = "n"
        if name is None:
            wants_stream = not self.stream and re.search(r"\bstream(?:ing)?\b", text)
            return replace(self, stream=True) if wants_stream else None
        if name == "n" and self.asked(n) > 1:
            return replace(self, one=True)
        if name == LENGTHS[0]:
            return replace(self, length=LENGTHS[1])
        return replace(self, left_out=self.left_out | {name}, one=self.one or name == "n")

    def notes(self) -> list[str]:
        """Return the changes that the server required, in words."""
        other_name = self.length == LENGTHS[1] and self.length not in self.left_out
        renamed = [f"{LENGTHS[1]} instead of {LENGTHS[0]}"] if other_name else []
        names = sorted(LENGTHS[0] if name == LENGTHS[1] else name for name in self.left_out - {"n"})
        sampling = [f"without {name} (the server uses its own value)" for name in names]
        return [*renamed, *sampling, *["one completion per request"] * self.one, *["streamed"] * self.stream]


def _named(error: object, text: str, names: list[str]) -> str | None:
    """Return the parameter that an error is about, or None.

    This is the error's `param`, else the first parameter that the text names.
    """
    param = str(error_of(error).get("param") or "").rpartition(".")[2]
    if param in names:
        return param
    spots = sorted((found.start(), name) for name in names if (found := _word(name).search(text)))
    first = [name for place, name in spots if place - spots[0][0] < NEAR]
    # If temperature and top_p are refused together, drop top_p: the temperature is worth more.
    return "top_p" if "top_p" in first else next(iter(first), None)


def _word(name: str) -> re.Pattern[str]:
    """Return the expression that finds a parameter's name as a word of its own.

    Neither the n of "n'est" nor that of an escaped line end is found.
    """
    return re.compile(rf"(?<![\\\w]){re.escape(name)}(?!\w|['’]\w)")


def _strings(value: object) -> Iterator[str]:
    """Yield every text in a body, in order.

    Servers put the name in a message, in a list of places, or in an object in a message.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)
