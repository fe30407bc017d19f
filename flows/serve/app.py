"""The routes of the server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from flows.serve import uploads
from flows.serve.answering import Answering, Served
from flows.serve.batching import Chat, Hearing, Job, Queue, Worker
from flows.serve.errors import ApiError, too_slow
from flows.serve.following import Source, follow
from flows.serve.gate import Gate
from flows.serve.limits import Limits
from flows.serve.metrics import Metrics
from flows.serve.page import HEADERS, page
from flows.serve.replies import Reply, transcript
from flows.serve.schema import read_chat, refuse_unknown
from models.room import room

# Fields of a transcription's form that change nothing here, or only at other values. None: any.
FORM_FIELDS: dict[str, tuple[object, ...] | None] = {
    "language": None,
    "temperature": ("0", "0.0"),
    "stream": ("false", "False"),
}
FORMS = ("json", "text", "verbose_json")


class Service:
    """The server's parts, and what its routes share."""

    def __init__(self, source: Source, served: Served, *, limits: Limits, follow_seconds: float) -> None:
        """Start nothing yet. follow_seconds: how often to look at the alias."""
        self.source, self.limits, self.follow_seconds = source, limits, follow_seconds
        self.queue = Queue(limits.batch)
        self.answering = Answering(served, Metrics(lambda: len(self.queue), lambda: self.served.name))
        self.worker = Worker(self.queue, self.answering)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def served(self) -> Served:
        return self.answering.served

    @property
    def metrics(self) -> Metrics:
        return self.answering.metrics

    @asynccontextmanager
    async def open(self, app: FastAPI) -> AsyncIterator[None]:
        """Answer requests within the block."""
        self.worker.start()
        following = asyncio.create_task(follow(self.source, self.answering, self.follow_seconds)) if self.source.follows else None
        yield
        if following:
            following.cancel()
        self.queue.close()
        await asyncio.to_thread(self.worker.join, 5.0)

    def check_model(self, name: str | None) -> None:
        """Raise ApiError (404) for a model that is not served."""
        if name not in (None, *self.names()):
            known = ", ".join(self.names())
            raise ApiError(404, f"there is no model {str(name)[:80]!r} here. There is {known}", "model_not_found", param="model")

    def names(self) -> list[str]:
        return [self.served.name, *(name for name in self.source.names if name != self.served.name)]

    def submit(self, job: Job, request: Request) -> None:
        """Put a job into the queue. If its client goes away, the job loses its place."""
        self.queue.put(job)
        task = asyncio.create_task(self._attend(job, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, job: Job, request: Request) -> None:
        """Let go of a job once its client is gone, has its whole answer, or the time is up."""
        error = ApiError(uploads.CLIENT_GONE, "the client has gone")
        try:
            async with asyncio.timeout(self.limits.seconds):
                while (await request.receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            error = too_slow(self.limits.seconds)
        self._let_go(job, error)

    def _let_go(self, job: Job, error: ApiError) -> None:
        self.queue.drop(job)
        job.end(error)

    async def over(self, job: Job, first: bool = False) -> None:
        """Wait until a job has ended, or with `first` until it has its first token.

        Raises the job's ApiError, if it has one.
        """
        try:
            while not (job.ended or (first and isinstance(job, Chat) and job.tokens)):
                await job.changed.wait()
                job.changed.clear()
        except asyncio.CancelledError:
            self._let_go(job, ApiError(503, "the server is stopping", "stopping"))
            raise
        if job.error:
            raise job.error


def build(service: Service, *, key: str | None = None, only_local: bool = False) -> FastAPI:
    """Return the app. For `key` and `only_local` see `Gate`."""
    app = FastAPI(lifespan=service.open, docs_url=None, redoc_url=None, openapi_url=None)
    limits = service.limits

    @app.exception_handler(ApiError)
    async def refused(request: Request, error: ApiError) -> JSONResponse:
        return error.response()

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        what = f"{request.method} {request.url.path[:80]}: {error.detail}"
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

    @app.post("/v1/audio/transcriptions")
    async def transcriptions(request: Request) -> Response:
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

    routes = ["/", "/health", "/metrics", "/v1/models", "/v1/chat/completions", "/v1/audio/transcriptions"]
    app.add_middleware(Gate, limits=limits, metrics=service.metrics, routes=routes, key=key, only_local=only_local)
    return app


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
