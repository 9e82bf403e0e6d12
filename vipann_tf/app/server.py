"""The web server of the page: a few addresses, and no file is reachable by its name."""

from __future__ import annotations

import dataclasses
import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from vipann_tf.app.session import Session
from vipann_tf.errors import UserError
from vipann_tf.evaluation.page_templates import page_environment

__all__ = ["COOKIE", "HEADER", "MAX_UPLOAD", "Access", "application", "is_loopback"]

# Bytes of a sound that is dropped on the page: half an hour of CD quality is 300 MB, and only the
# first minute is heard.
MAX_UPLOAD = 64 << 20
MAX_ANSWER = 1 << 16
COOKIE = "vipann_tf_token"
# Pages of other sites can't send it without being asked for leave, which they are not given.
HEADER = "x-vipann-tf"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:; "
        "media-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclasses.dataclass(frozen=True)
class Access:
    """Who may use the page.

    Attributes:
      hosts: Names by which a browser may call the server; another name is that of another site
        which was pointed here (DNS rebinding).
      token: What a browser must know; empty for none.
    """

    hosts: tuple[str, ...]
    token: str = ""


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def application(session: Session, access: Access) -> Starlette:
    """Return the server.

    Args:
      session: What it shows and writes.
      access: Who may use it.
    """
    pages = page_environment("vipann_tf.app")
    script = (Path(__file__).parent / "templates" / "app.js").read_text(encoding="utf-8")

    async def page(request: Request) -> Response:
        if request.query_params.get("token"):  # into a cookie, and out of the address
            found = RedirectResponse("/", status_code=303)
            found.set_cookie(COOKIE, access.token, httponly=True, samesite="strict")
            return found
        text = pages.get_template("app.html").render(session=session)
        return HTMLResponse(text)

    async def javascript(request: Request) -> Response:
        return Response(script, media_type="text/javascript")

    async def state(request: Request) -> Response:
        return await _told(session.state, _who(request))

    async def next_clip(request: Request) -> Response:
        again = request.query_params.get("again") == "yes"
        return await _told(session.next_clip, _who(request), again)

    async def clip(request: Request) -> Response:
        return await _told(session.clip, request.path_params["number"], _who(request))

    async def answer(request: Request) -> Response:
        content = await _content(request, MAX_ANSWER)
        try:
            sent = json.loads(content)
            who, verdict, labels = sent["who"], sent["verdict"], sent["labels"]
            if not isinstance(labels, list) or not all(
                isinstance(word, str) for word in (who, verdict, *labels)
            ):
                raise TypeError("who and verdict are texts, and labels is a list of texts")
        except (ValueError, KeyError, TypeError) as error:
            raise HTTPException(400, f"the answer can't be read: {error!r}") from error
        return await _told(session.answer, request.path_params["number"], who, verdict, labels)

    async def listen(request: Request) -> Response:
        content = await _content(request, MAX_UPLOAD)
        return await _told(session.listen, content)

    async def learn(request: Request) -> Response:
        return await _told(session.learn)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/app.js", javascript),
            Route("/api/state", state),
            Route("/api/next", next_clip),
            Route("/api/clips/{number:int}", clip),
            Route("/api/clips/{number:int}/answer", answer, methods=["POST"]),
            Route("/api/listen", listen, methods=["POST"]),
            Route("/api/learn", learn, methods=["POST"]),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(access.hosts)),
            Middleware(_Guard, access=access),
        ],
        exception_handlers={HTTPException: _refusal},
    )


class _Guard:
    """Asks for the token, and for the header of our own page; adds the headers of safety."""

    def __init__(self, app: Callable[..., Awaitable[None]], access: Access):
        self._app, self._access = app, access

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                added = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        if scope["type"] == "http" and (refusal := self._refused(Request(scope))):
            await refusal(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)

    def _refused(self, request: Request) -> Response | None:
        token = self._access.token
        if token:
            given = request.query_params.get("token") or request.cookies.get(COOKIE, "")
            if not hmac.compare_digest(given.encode(), token.encode()):
                return _error(403, "open the address that `vipann-tf app` printed, with its token")
        if request.method not in ("GET", "HEAD") and HEADER not in request.headers:
            return _error(403, f"a request that changes something has the header {HEADER}")
        return None


async def _content(request: Request, most: int) -> bytes:
    """Read the body of a request, at most so many bytes."""
    told = request.headers.get("content-length", "0")
    size = int(told) if told.isdigit() else 0
    pieces: list[bytes] = []
    received = 0
    if size <= most:
        async for piece in request.stream():
            received += len(piece)
            if received > most:
                break
            pieces.append(piece)
    if max(size, received) > most:
        raise HTTPException(413, f"this is larger than {most / (1 << 20):g} MiB; `scan` takes any")
    return b"".join(pieces)


async def _told(function: Callable[..., Any], *arguments: Any) -> Response:
    """Return what a function says, computed beside the server's own work."""
    try:
        return JSONResponse(await run_in_threadpool(function, *arguments))
    except UserError as error:
        return _error(400, str(error))
    except OSError as error:
        return _error(500, f"not saved: {error}")


def _who(request: Request) -> str:
    return request.query_params.get("who", "").strip()


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.detail)


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status_code=status)
