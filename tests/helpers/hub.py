"""A hub on this machine: it takes commits of small files, and gives the files back."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c0ffee" + 34 * "0"


class Hub(ThreadingHTTPServer):
    """files: {repository: {path: bytes}}. tokens: the authorizations that were sent."""

    def __init__(self, refuse: int | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.tokens: set[str | None] = set()
        self.private: dict[str, bool] = {}
        self.refuse = refuse

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "X-Repo-Commit": COMMIT, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _json(self, value: object, status: int = 200) -> None:
        self._answer(status, json.dumps(value).encode(), Content_Type="application/json")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tokens.add(self.headers["Authorization"])
        parts = self.path.partition("?")[0].strip("/").split("/")
        if self.server.refuse:
            self._json({"error": "this token may only read"}, self.server.refuse)
        elif parts[1:] == ["repos", "create"]:
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self.server.files[name], self.server.private[name] = {}, asked.get("private") or asked.get("visibility") == "private"
            self._json({"url": f"{self.server.url}/{name}", "id": name})
        elif parts[1] == "validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif parts[4] == "preupload":
            self._json(
                {
                    "files": [
                        {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in json.loads(body)["files"]
                    ]
                }
            )
        else:
            lines = [json.loads(line) for line in body.splitlines()]
            added = {line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"}
            name = "/".join(parts[2:4])
            self.server.files[name] |= added
            self._json({"success": True, "commitOid": COMMIT, "commitUrl": f"{self.server.url}/{name}/commit/{COMMIT}"})

    def do_GET(self) -> None:
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[0] == "api":
            name, files = "/".join(parts[2:4]), self.server.files.get("/".join(parts[2:4]), {})
            below = "/".join(parts[6:])
            tree = [{"type": "file", "path": path, "size": len(data)} for path, data in files.items() if path.startswith(below)]
            self._json(tree if "tree" in parts else {"id": name, "sha": COMMIT, "siblings": []})
        elif (data := self.server.files.get("/".join(parts[:2]), {}).get("/".join(parts[4:]))) is not None:
            self._answer(200, data, ETag=f'"{abs(hash(data)):x}"')
        else:
            self._answer(404, b"", X_Error_Code="EntryNotFound")

    do_HEAD = do_GET


@contextmanager
def hub(refuse: int | None = None) -> Iterator[Hub]:
    """refuse: the HTTP status of every change."""
    server = Hub(refuse)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
