"""The routes of the server."""

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from flows.serve import uploads
from flows.serve.batching import Chat, Hearing
from flows.serve.errors import ApiError
from flows.serve.gate import Gate
from flows.serve.page import HEADERS, page
from flows.serve.replies import Reply, transcript
from flows.serve.schema import read_chat, refuse_unknown
from flows.serve.service import Service
from models.room import room

# Fields of a transcription's form that change nothing here, or only at other values. None: any.
FORM_FIELDS: dict[str, tuple[object, ...] | None] = {
    "language": None,
    "temperature": ("0", "0.0"),
    "stream": ("false", "False"),
}
FORMS = ("json", "text", "verbose_json")


def build(service: Service, *, key: str | None = None, only_local: bool = False) -> FastAPI:
    """Return the app. For `key` and `only_local` see `Gate`."""
    app = FastAPI(lifespan=service.open, docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(ApiError)
    async def refused(request: Request, error: ApiError) -> JSONResponse:
        return error.response()

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        what = f"{request.method} {request.scope['path'][:80]}: {error.detail}"  # request.url needs a good Host
        return ApiError(error.status_code, what, headers=error.headers).response()

    @app.exception_handler(Exception)
    async def broken(request: Request, error: Exception) -> JSONResponse:
        return ApiError(500, f"the server failed ({type(error).__name__})", "failed").response()

    @app.get("/")
    async def talk() -> HTMLResponse:
        return HTMLResponse(page(), headers=HEADERS)

    @app.get("/health")
    async def health() -> JSONResponse:
        return JSONResponse({"status": "ok", "model": service.served.name}, 200 if service.worker.is_alive() else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/v1/models")
    async def models() -> dict[str, object]:
        return {"object": "list", "data": [_model(service, name) for name in service.names()]}

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, object]:
        service.check_model(name)
        return _model(service, name)

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return await _answer(service, request)

    @app.post("/v1/audio/transcriptions")
    async def transcriptions(request: Request) -> Response:
        return await _transcribe(service, request)

    routes = ["/", "/health", "/metrics", "/v1/models", "/v1/chat/completions", "/v1/audio/transcriptions"]
    app.add_middleware(Gate, limits=service.limits, metrics=service.metrics, routes=routes, key=key, only_local=only_local)
    return app


async def _answer(service: Service, request: Request) -> Response:
    """Answer a chat, whole or as a stream."""
    limits = service.limits
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "give the header Content-Type: application/json", "invalid_value")
    data = await uploads.body(request, limits)
    with service.queue.coming():
        asked = read_chat(data)
        service.check_model(asked.model)
        limit = asked.limit or limits.tokens
        if limit > (most := room(service.served.model.config)):
            problem = f"max_completion_tokens is {limit:,}, and the model has room for {most:,}"
            raise ApiError(400, problem, "invalid_value", param="max_completion_tokens")
        waves = await uploads.clips(asked.files, limits, "messages")
        streams = bool(asked.stream)
        job = Chat(asked.turns(), waves, limit=limit, temperature=asked.temperature or 0.0, streams=streams)
        service.submit(job, request)
    await service.over(job, first=streams)
    reply = Reply(job)
    if not streams:
        return JSONResponse(reply.completion())
    usage = bool(asked.stream_options and asked.stream_options.include_usage)
    return StreamingResponse(reply.stream(usage), media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


async def _transcribe(service: Service, request: Request) -> Response:
    """Write down what the model hears of a file."""
    limits = service.limits
    fields, file = uploads.form(request.headers.get("content-type", ""), await uploads.body(request, limits))
    form = _last(fields, "response_format") or "json"
    service.check_model(_last(fields, "model"))
    granularities = [*fields.pop("timestamp_granularities[]", []), *fields.pop("timestamp_granularities", [])]
    if file is None:
        raise ApiError(400, "give the sound as `file`", "invalid_value", param="file")
    if form not in FORMS:
        problem = f"response_format is {form[:40]!r}; give one of {', '.join(FORMS)}"
        raise ApiError(400, problem, "invalid_value", param="response_format")
    refuse_unknown({name: _last(fields, name) for name in [*fields]}, FORM_FIELDS)
    with service.queue.coming():
        job = Hearing(*await uploads.clips([file], limits, "file"))
        service.submit(job, request)
    await service.over(job)
    found = transcript(job, form, words="word" in granularities)
    return Response(f"{found['text']}\n", media_type="text/plain") if form == "text" else JSONResponse(found)


def _model(service: Service, name: str) -> dict[str, object]:
    return {
        "id": name,
        "object": "model",
        "created": int(service.served.since),
        "owned_by": "inserter",
        "root": service.served.name,
    }


def _last(fields: dict[str, list[str]], name: str) -> str | None:
    values = fields.pop(name, [])
    return values[-1] if values else None
