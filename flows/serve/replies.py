"""What is sent back: an answer whole or as a stream, and a transcript."""

import json
import time
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from secrets import token_hex
from typing import TYPE_CHECKING, TypedDict

from flows.serve.batching import Chat, Hearing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # what a part of a letter decodes to


class Deltas:
    """Turns the growing ids of an answer into the pieces of its text.

    The pieces together are the text that `generate_answers` returns.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self.tokenizer, self.sent = tokenizer, ""

    def more(self, tokens: Sequence[int], ended: bool) -> str:
        """Return what is new. Blanks and parts of a letter wait for what follows them."""
        text = whole(self.tokenizer, tokens)
        if not ended:
            text = text.rstrip(UNFINISHED).rstrip()
        if not text.startswith(self.sent):  # the last token changed how earlier ones are written
            return ""
        new = text[len(self.sent) :]
        self.sent = text
        return new


def whole(tokenizer: "PreTrainedTokenizerBase", tokens: Sequence[int]) -> str:
    """Return the text of a whole answer, without control tokens."""
    return str(tokenizer.decode(list(tokens), skip_special_tokens=True)).strip()


class Reply:
    """The reply to one chat."""

    def __init__(self, job: Chat) -> None:
        """job: a chat that has begun."""
        self.job, self.tokenizer = job, job.served.processor.tokenizer
        self.head = {"id": f"chatcmpl-{token_hex(12)}", "created": int(time.time()), "model": job.served.name}

    def completion(self) -> dict[str, object]:
        """Return the body of a whole answer."""
        message = {"role": "assistant", "content": whole(self.tokenizer, self.job.tokens), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish()}
        return {**self.head, "object": "chat.completion", "choices": [choice], "usage": self._usage()}

    async def stream(self, usage: bool) -> AsyncIterator[str]:
        """Yield the server-sent events of an answer, from its first token on.

        usage: whether a last chunk has the counts. An error becomes an event of its own.
        """
        deltas = Deltas(self.tokenizer)
        yield self._chunk({"role": "assistant", "content": ""})
        while True:
            self.job.changed.clear()
            ended = self.job.ended  # before the tokens, which may still grow
            if text := deltas.more(self.job.tokens[:], ended):
                yield self._chunk({"content": text})
            if ended:
                break
            await self.job.changed.wait()
        if self.job.error:
            yield _event(dict(self.job.error.body()))
        else:
            yield self._chunk({}, self._finish())
            if usage:
                yield _event({**self.head, "object": "chat.completion.chunk", "choices": [], "usage": self._usage()})
        yield "data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, str], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**self.head, "object": "chat.completion.chunk", "choices": [choice]})

    def _finish(self) -> str:
        return "stop" if self.job.stopped else "length"

    def _usage(self) -> dict[str, int]:
        read, drawn = self.job.positions, len(self.job.tokens)
        return {"prompt_tokens": read, "completion_tokens": drawn, "total_tokens": read + drawn}


def _event(data: dict[str, object]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


class Word(TypedDict):
    """A word that is heard, from its start to the start of the next one, in seconds."""

    word: str
    start: float
    end: float


def transcript(job: Hearing, form: str, *, words: bool) -> dict[str, object]:
    """Return the body of a transcript in the response format `form`: json or verbose_json.

    words: whether verbose_json has the words.
    """
    tokenizer, seconds = job.served.processor.tokenizer, job.seconds
    text = whole(tokenizer, [token for token, _ in job.heard])
    if form != "verbose_json":
        return {"text": text, "usage": {"type": "duration", "seconds": round(seconds, 2)}}
    body: dict[str, object] = {"task": "transcribe", "duration": round(seconds, 2), "text": text}
    body["segments"] = [{"id": 0, "start": 0.0, "end": round(seconds, 2), "text": text}] if text else []
    return body | ({"words": _words(job.heard, tokenizer, seconds)} if words else {})


def _words(heard: list[tuple[int, float]], tokenizer: "PreTrainedTokenizerBase", seconds: float) -> list[Word]:
    """Return the words of tokens. A word begins at a token that begins with a blank."""
    groups: list[tuple[list[int], float]] = []
    for token, start in heard:
        text = str(tokenizer.decode([token]))
        if not groups or text[:1].isspace():
            groups.append(([], start))
        groups[-1][0].append(token)
    starts = [start for _, start in groups]
    spans = pairwise([*starts, max([round(seconds, 2), *starts])])
    return [{"word": whole(tokenizer, ids), "start": a, "end": b} for (ids, _), (a, b) in zip(groups, spans, strict=True)]
