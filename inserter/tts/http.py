"""Speak with any server that has an OpenAI-compatible `POST /v1/audio/speech`.

Large voices (CosyVoice, XTTS, Kokoro…) are served this way. Requests of a batch overlap. The speech
is kept as the server returns it, so a server that samples is not asked twice for one text. The key
in INSERTER_TTS_API_KEY goes to the server of INSERTER_TTS_BASE_URL and to no other.
"""

import base64
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tenacity import RetryCallState, Retrying

from inserter.audio.clips import read
from inserter.endpoint import (
    Again,
    Answer,
    Server,
    Unreachable,
    check_key,
    error_of,
    failure,
    from_environment,
    retries,
    retry_after,
    split_url,
)
from inserter.errors import InserterError
from inserter.params import Voice
from inserter.tts.base import CannotSpeak, Synthesizer

BASE_URL, API_KEY = "INSERTER_TTS_BASE_URL", "INSERTER_TTS_API_KEY"
EXAMPLE = "http://127.0.0.1:8000"
IN_FLIGHT = 8  # requests of one worker at a time; servers batch requests that overlap
TRIES = 6
BACKOFF, MAX_WAIT = 1.0, 60.0  # seconds: before the second try, doubled each time; longest wait
TIMEOUT = 120.0  # seconds for a whole answer
GIVE_UP_AFTER = 16  # failed texts in a row that show a fault of the server, not of the texts
SHOWN = 200  # characters of a server's message that are shown


class HttpVoice(Synthesizer):
    """One voice of one server.

    Time stretching changes the speed, because many servers accept `speed` and ignore it.
    """

    def __init__(self, voice: Voice) -> None:
        self.model, self.voice = voice.model, voice.voice
        self.url = speech_url(voice)
        self.reference = _reference(voice)
        self.key = _key(voice)
        self.server = Server(self.url, self.key, IN_FLIGHT)
        self._lock = threading.Lock()
        self._not_before = 0.0  # monotonic time until which the server wants no requests
        self._given_up = 0  # texts in a row that failed
        self._answered = False  # a server that never answered is not waited for

    def synthesize(self, text: str, rate: float) -> np.ndarray:
        """Return the speech at 16 kHz.

        Raises CannotSpeak when this text fails, and InserterError when every text would fail.
        """
        try:
            wave = Retrying(**retries(TRIES, BACKOFF, MAX_WAIT), before_sleep=self._rest)(self._try, text)
        except Again as problem:
            raise self._give_up(problem) from problem
        self._given_up = 0
        return wave

    def speak_many(self, texts: Sequence[str], rate: float = 1.0) -> Iterator[np.ndarray | CannotSpeak]:
        pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="speech")
        try:
            yield from pool.map(lambda text: self._speak(text, rate), texts)
        finally:
            pool.shutdown(cancel_futures=True)

    def _speak(self, text: str, rate: float) -> np.ndarray | CannotSpeak:
        try:
            return self.speak(text, rate)
        except CannotSpeak as error:
            return error

    def _rest(self, state: RetryCallState) -> None:
        """Keep the wait that the server asked for: it holds for all requests."""
        problem = failure(state)
        if problem.wait is None:
            return
        if problem.wait > MAX_WAIT:
            raise InserterError(f"{self.url}: {problem}, and to wait {problem.wait:.0f} s", "Run again after that time to resume")
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + problem.wait)

    def _give_up(self, problem: Again) -> Exception:
        with self._lock:
            self._given_up += 1
            count = self._given_up
        if isinstance(problem, Unreachable):
            return self._nobody(problem)
        if count >= GIVE_UP_AFTER:
            remedy = "Look at the server's log, then run again to resume"
            return InserterError(f"{self.url} failed for {count} texts in a row, the last time with: {problem}", remedy)
        return CannotSpeak(f"gave up after {TRIES} tries: {problem}")

    def _nobody(self, error: Exception) -> InserterError:
        remedy = f"Start the server, or correct {BASE_URL} or the voice's `url`; then run again to resume"
        return InserterError(f"no speech server answers at {self.url} ({error})", remedy)

    def _try(self, text: str) -> np.ndarray:
        body = {"model": self.model, "input": text, "voice": self.voice, "response_format": "wav", **self.reference}
        time.sleep(max(0.0, self._not_before - time.monotonic()))
        try:
            answer = self.server.post(body, TIMEOUT)
        except Again as error:
            if isinstance(error, Unreachable) and not self._answered:
                raise self._nobody(error) from error
            raise type(error)(self._redact(str(error))) from error
        self._answered = True
        if answer.status != 200:
            raise self._refused(answer)
        return self._read(answer)

    def _read(self, answer: Answer) -> np.ndarray:
        """Return the audio of an answer, in whatever format the audio came."""
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/html":
            remedy = f"Mend {BASE_URL} or the voice's `url`: speech is asked for at …/v1/audio/speech"
            raise InserterError(f"{self.url} answers with a web page, not with speech", remedy)
        if kind.endswith("json") or answer.content[:1] == b"{":
            raise Again(f"200 with {self._message(answer) or 'JSON instead of audio'}")
        if not answer.content:
            raise Again("an empty answer")
        try:
            return read(answer.content)
        except InserterError as error:
            raise Again(f"{kind or 'an answer'} of {len(answer.content)} bytes: {error}") from error

    def _refused(self, answer: Answer) -> Exception:
        """Return the exception for an answer whose status is not 200."""
        status, message = answer.status, self._message(answer)
        if status in (401, 403):
            remedy = f"Check {API_KEY}" if self.key else f"Set {API_KEY}, and {BASE_URL} to this server: it alone gets the key"
            return InserterError(f"{self.url} does not take the key ({status}) {message}".strip(), remedy)
        if status == 402 or (status == 429 and "insufficient_quota" in str(_error(answer))):
            return InserterError(f"the account at {self.url} has no credit ({status})", "Add credit, then run again to resume")
        if status in (408, 429) or status >= 500:
            what = "the server asks for fewer requests" if status == 429 else "the server failed"
            return Again(f"{status}: {what} {message}".strip(), retry_after(answer.headers.get("retry-after")))
        if status in (404, 405) or status < 400:
            remedy = f"Check {BASE_URL} or the voice's `url`, its `model` and its `voice`"
            problem = f"{self.url} has no speech of model {self.model}, voice {self.voice} ({status}) {message}".strip()
            return InserterError(problem, remedy)
        return CannotSpeak(f"{status}: the server refused the text {message}".strip())

    def _message(self, answer: Answer) -> str:
        message = _error(answer).get("message") or _error(answer).get("detail")
        text = self._redact(" ".join(message.split())) if isinstance(message, str) else ""
        return f"({text[:SHOWN]})" if text else ""

    def _redact(self, text: str) -> str:
        return text.replace(self.key, "[key]") if self.key else text


def _error(answer: Answer) -> dict[str, object]:
    try:
        return error_of(json.loads(answer.content))
    except (ValueError, RecursionError):
        return {}


def speech_url(voice: Voice) -> str:
    """Return the address for requests, from a base URL with or without /v1 or a whole address."""
    parts = split_url(
        voice.url or from_environment(BASE_URL), "the speech server's", BASE_URL, key_variable=API_KEY, example=EXAMPLE
    )
    path = parts.path.rstrip("/").removesuffix("/audio/speech").removesuffix("/v1")
    return parts._replace(path=f"{path}/v1/audio/speech", fragment="").geturl()


def _reference(voice: Voice) -> dict[str, str]:
    """Return the recording to be imitated and its words; {} where there is none.

    The fields are those that vLLM-Omni added to the API.
    """
    if not voice.speaker:
        return {}
    audio, text = files(voice)
    data = base64.b64encode(audio.read_bytes()).decode()
    return {"ref_audio": f"data:audio/{audio.suffix[1:]};base64,{data}", "ref_text": text.read_text(encoding="utf-8").strip()}


def _key(voice: Voice) -> str:
    """Return the key where `voice` uses the server that the key belongs to, else ""."""
    own = from_environment(BASE_URL)
    if not own:
        return ""
    mine, its = (
        split_url(url, "the speech server's", BASE_URL, key_variable=API_KEY, example=EXAMPLE) for url in (own, voice.url or own)
    )
    return check_key(from_environment(API_KEY), API_KEY) if (mine.scheme, mine.netloc) == (its.scheme, its.netloc) else ""


def load(voice: Voice) -> HttpVoice:
    return HttpVoice(voice)


def missing(voice: Voice) -> str | None:
    """Return why `voice` cannot be used here, or None, and ask no server."""
    if not voice.model:
        return "a voice of engine http needs a `model`. Set it to the name that the server has for it"
    if not (voice.url or from_environment(BASE_URL)):
        return f"no speech server is named. Set {BASE_URL} (for example {EXAMPLE}), or the voice's `url`"
    for path in files(voice):
        if not path.is_file():
            return f"{path} is not there. Set `speaker` to a recording, and put its words beside it as .txt; or leave it out"
    try:
        speech_url(voice)
    except InserterError as error:
        return str(error)
    return None


def files(voice: Voice) -> list[Path]:
    """Return the recording to be imitated, where there is one, and the text beside it.

    All other files are the server's.
    """
    return [Path(voice.speaker), Path(voice.speaker).with_suffix(".txt")] if voice.speaker else []


def version(_voice: Voice) -> str:
    """Return "": a server says nothing reliable about its version."""
    return ""
