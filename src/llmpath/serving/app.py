"""The server as an ASGI application: OpenAI's endpoints, health, metrics, and a page to chat on."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from llmpath.serving.admission import Admission
from llmpath.serving.answers import Ready
from llmpath.serving.api import ApiError
from llmpath.serving.completions import Completions, Limits
from llmpath.serving.engine import Engine
from llmpath.serving.metrics import Metrics

# Its version is the format's, not the library's.
METRICS = "text/plain; version=0.0.4; charset=utf-8"
_INLINE = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


def app(engine: Engine, ready: Ready, limits: Limits, hosts: Sequence[str] = ("*",)) -> Starlette:
    """The application that serves one model.

    Args:
        engine: the model, which is loaded.
        ready: what it said when it was.
        limits: what requests may use.
        hosts: the names under which browsers may reach it; "*" is any. A page of another site
            must not reach a server on this machine by a name that it made point here.
    """
    admission = Admission(limits.places, limits.queue)
    metrics = Metrics(admission)

    def completions(*, chat: bool) -> Completions:
        return Completions(engine, admission, metrics, limits, chat=chat)

    async def health(request: Request) -> Response:
        state = {"status": "ok" if engine.alive else "the model's process has ended"}
        return JSONResponse(state, 200 if engine.alive else 503)

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_model(engine, ready, limits)]})

    async def model(request: Request) -> Response:
        if request.path_params["name"] != engine.source.name:
            error = ApiError(404, "There is no such model here.", code="model_not_found")
            return JSONResponse(error.body(), 404)
        return JSONResponse(_model(engine, ready, limits))

    async def counted(request: Request) -> Response:
        return Response(metrics.text(), media_type=METRICS)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/v1/chat/completions", completions(chat=True), methods=["POST"]),
            Route("/v1/completions", completions(chat=False), methods=["POST"]),
            Route("/v1/models", models),
            Route("/v1/models/{name}", model),
            Route("/health", health),
            Route("/metrics", counted),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        exception_handlers={404: _no_such_path, 405: _no_such_method},
    )


async def page(request: Request) -> Response:
    """The page to chat on. It may load nothing but itself, and talk to nobody but this server."""
    text, policy = _page()
    return HTMLResponse(
        text,
        headers={
            "content-security-policy": policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "no-referrer",
            "cache-control": "no-cache",
        },
    )


@cache
def _page() -> tuple[str, str]:
    """The page, and its content security policy: the only script is the one in it."""
    text = (files("llmpath.serving") / "page.html").read_text(encoding="utf-8")
    hashes = {kind: _hash(content) for kind, content in _INLINE.findall(text)}
    policy = (
        f"default-src 'none'; connect-src 'self'; img-src data:; style-src {hashes['style']}; "
        f"script-src {hashes['script']}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    return text, policy


def _hash(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _model(engine: Engine, ready: Ready, limits: Limits) -> dict[str, object]:
    """A model as OpenAI's API shows it, and what else a client may want to know."""
    return {
        "id": engine.source.name,
        "object": "model",
        "created": int(engine.source.folder.stat().st_mtime),
        "owned_by": "llmpath",
        "chats": ready.chats,
        "context_length": ready.context,
        "parameters": ready.parameters,
        "max_tokens": limits.max_tokens,
    }


async def _no_such_path(request: Request, error: Exception) -> Response:
    told = ApiError(404, f"There is no {request.url.path} here.", code="not_found")
    return JSONResponse(told.body(), 404)


async def _no_such_method(request: Request, error: Exception) -> Response:
    told = ApiError(405, f"{request.url.path} has no {request.method}.", code="method_not_allowed")
    return JSONResponse(told.body(), 405)
