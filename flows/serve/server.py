"""Start the server, and end it in order."""

import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from flows.serve.app import build
from flows.serve.following import Source
from flows.serve.gate import LOOPBACK
from flows.serve.limits import GRACE_SECONDS, Limits
from flows.serve.service import Service
from inserter.errors import InserterError
from inserter.params import load
from inserter.run.runner import say

KEY = "INSERTER_SERVE_KEY"
BACKLOG = 2048


def serve(model: str | None, host: str, port: int, *, key_file: Path | None, limits: Limits | None, follow_seconds: float) -> None:
    """Serve until SIGTERM or SIGINT.

    model: see `Source`.
    port: 0 lets the system choose one; the line that is printed has it.
    key_file: file with the key that clients give. None: the key is that of INSERTER_SERVE_KEY, or
        none is needed.
    limits: None: the defaults.
    follow_seconds: how often to look which version the alias names.

    Raises InserterError if there is no such model, key or port.
    """
    params = load()
    key = read_key(key_file)
    local = host in LOOPBACK
    if not local and not key:
        say(f"everyone who reaches {host} may use the model: set {KEY} or --key-file to ask for a key")
    limits = limits or Limits()
    with _bound(host, port) as listening:
        source = Source(model, params)
        service = Service(source, source.load(), limits=limits, follow_seconds=follow_seconds)
        app = build(service, key=key, only_local=local and not key)
        server = uvicorn.Server(
            uvicorn.Config(
                app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=GRACE_SECONDS, ws="none"
            )
        )
        listening.listen(BACKLOG)
        shown = f"[{host}]" if ":" in host else host
        say(f"{service.served.name} is served at http://{shown}:{listening.getsockname()[1]}")
        for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises it again once all is closed
            signal.signal(number, lambda *_: sys.exit(0))
        server.run(sockets=[listening])


def read_key(file: Path | None) -> str | None:
    """Return the key, or None. Raises InserterError for a file without a key."""
    if file is None:
        return os.environ.get(KEY, "").strip() or None
    try:
        key = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problem = f"the key file {file} cannot be read ({type(error).__name__})"
        raise InserterError(problem, "Give a text file with the key alone") from error
    if not key:
        raise InserterError(f"the key file {file} is empty", "Write a key into it, such as `openssl rand -hex 32` prints")
    return key


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket at the address, before a model is loaded in vain."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
    except (OSError, OverflowError) as error:
        found.close()
        remedy = "Give another --port, or an address of this machine as --host"
        raise InserterError(f"{host}:{port} cannot be served ({error})", remedy) from error
    return found
