"""Read the body of a request within limits, and the sound in it."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import IO, NamedTuple

import numpy as np
from starlette.requests import ClientDisconnect, Request
from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from flows.serve.errors import CLIENT_GONE, ApiError
from flows.serve.limits import Limits
from models.served import unpacked
from models.sound import SAMPLE_RATE, NoSound, read

# Ten minutes of sound at 192 kHz take up to 1 GB while they are decoded: so many at a time.
DECODERS = ThreadPoolExecutor(2, thread_name_prefix="sound")
FORM_PARTS = 100


async def body(request: Request, limits: Limits) -> bytes:
    """Return the body. Raises ApiError for one that is too large (413) or too slow (408)."""
    large = ApiError(413, f"the body has more than {limits.body_bytes:,} bytes. Cut the sound into parts", "too_large")
    said = request.headers.get("content-length", "0")
    if not (said.isascii() and said.isdigit()):
        raise ApiError(400, "Content-Length is no number", "invalid_value")
    if len(said) > 18 or int(said) > limits.body_bytes:  # Python refuses to read 4,301 digits
        raise large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.upload_seconds):
            async for part in request.stream():
                size += len(part)
                if size > limits.body_bytes:
                    raise large
                parts.append(part)
    except TimeoutError:
        raise ApiError(408, f"the body did not arrive within {limits.upload_seconds:g} s", "timeout") from None
    except ClientDisconnect:
        raise ApiError(CLIENT_GONE, "the client has gone") from None
    return b"".join(parts)


class Form(NamedTuple):
    """The fields of a form. A field that is given several times has several values."""

    fields: dict[str, list[str]]
    file: bytes | None


def form(content_type: str, data: bytes) -> Form:
    """Return the fields of a multipart form, and the content of its `file`.

    Raises ApiError (400) for any other body.
    """
    kind, options = parse_options_header(content_type)
    if kind != "multipart/form-data" or not options.get("boundary"):
        raise ApiError(400, "give multipart/form-data with a `file`", "invalid_value", param="file")
    parser = FormDataParser(stream_factory=_in_memory, max_form_parts=FORM_PARTS, silent=False)
    try:
        _, fields, files = parser.parse(BytesIO(data), kind, len(data), options)
    except (ValueError, HTTPException) as error:
        raise ApiError(400, f"the form cannot be read ({error})", "invalid_value") from error
    sent = files.get("file")
    return Form({name: fields.getlist(name) for name in fields}, sent.read() if sent else None)


def _in_memory(*args: object, **kwargs: object) -> IO[bytes]:
    return BytesIO()


async def clips(files: Sequence[str | bytes], limits: Limits, param: str) -> list[np.ndarray]:
    """Return the clips (samples,) at 16 kHz of sound files, each as bytes or in base64.

    param: the parameter that an error names. Raises ApiError (400) for a file without sound, and
    for more sound than the limit.
    """
    loop = asyncio.get_running_loop()
    waves: list[np.ndarray] = []
    room = limits.audio_seconds
    for number, file in enumerate(files):
        try:
            wave = await loop.run_in_executor(DECODERS, _wave, file, room)
        except NoSound as error:
            if error.reason == "too long":
                problem = f"the audio lasts more than {limits.audio_seconds:g} s. {error.remedy}"
                raise ApiError(400, problem, "audio_too_long", param=param) from error
            which = f"audio {number + 1}" if len(files) > 1 else "the audio"
            raise ApiError(400, f"{which} {error.detail}. {error.remedy}", "invalid_audio", param=param) from error
        room -= len(wave) / SAMPLE_RATE
        waves.append(wave)
    return waves


def _wave(file: str | bytes, seconds: float) -> np.ndarray:
    return read(file if isinstance(file, bytes) else unpacked(file), seconds=seconds).wave
