"""Runs the application on one socket, until Ctrl-C or SIGTERM and the end of its requests."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette

from llmpath.errors import LlmpathError

GRACE = 10  # seconds that requests may still take when the server is to end
LOOPBACK = ("localhost", "127.0.0.1")


def listen(host: str, port: int) -> socket.socket:
    """A socket on which to serve; port 0 is any that is free.

    Raises:
        LlmpathError: if there is no such address, or it is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen()  # who comes before the server is ready waits, and is not refused
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LlmpathError(
            f"The server cannot listen on {host}, port {port}: {reason}.",
            "--port names another port; --port 0 takes any that is free.",
        ) from error
    return listening


def address(listening: socket.socket) -> str:
    """The URL under which a socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def run(app: Starlette, listening: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; what is being answered then has `GRACE` seconds to end."""
    settings = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,  # addresses of people; what is to be counted is in the metrics
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=30,
        server_header=False,
        lifespan="off",
    )
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    with _ended_quietly():
        uvicorn.Server(settings).run(sockets=[listening])


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn's log is to be shown: not what Ctrl-C does to open answers.

    They are cancelled, which is as it should be, and the clients are told.
    """
    return "timeout graceful shutdown exceeded" not in str(record.msg)


@contextlib.contextmanager
def _ended_quietly() -> Iterator[None]:
    """Let a signal that has ended the server not end this process as well.

    uvicorn raises it once more when all is done.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
