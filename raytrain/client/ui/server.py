"""The server: read-only, on this machine's loopback, for whoever has its token.

A browser comes with the token in the address once and has it in a cookie from then on; a program sends it as
`Authorization: Bearer TOKEN`. Requests that name another host are refused, so that no other site can ask by way of a
name that leads here.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiohttp import web

from raytrain.client.ui.pages import Pages
from raytrain.errors import NotFound, RaytrainError, UsageError

T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_COOKIE = "raytrain-ui"


def application(pages: Pages, token: str) -> web.Application:
    """What answers."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method not in ("GET", "HEAD"):
            raise web.HTTPMethodNotAllowed(request.method, ["GET", "HEAD"])
        if request.host.rpartition(":")[0] not in _HOSTS:
            raise web.HTTPForbidden(text="another host's name")
        given = request.query.get("token", "")
        if given and _is(given, token):
            rest = [(name, value) for name, value in request.query.items() if name != "token"]
            moved = web.HTTPSeeOther(request.rel_url.with_query(rest))
            moved.set_cookie(_cookie(request), token, httponly=True, samesite="Strict", path="/")
            raise moved
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not (_is(request.cookies.get(_cookie(request), ""), token) or _is(bearer, token)):
            raise web.HTTPUnauthorized(text="open the address that `raytrain ui` printed, with its token")
        return await handler(request)

    async def runs(request: web.Request) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        query, status = request.query.get("q", ""), request.query.get("status", "")
        return _page(await asyncio.to_thread(pages.runs, query, status, nonce), nonce)

    async def run(request: web.Request) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        return _page(await _asked(pages.run, request.match_info["run"], nonce), nonce)

    async def compared(request: web.Request) -> web.Response:
        return _page(await _asked(pages.compared, request.query.getall("run", [])), secrets.token_urlsafe(16))

    async def runs_json(request: web.Request) -> web.Response:
        return _headed(web.json_response(await asyncio.to_thread(pages.runs_json)))

    async def run_json(request: web.Request) -> web.Response:
        return _headed(web.json_response(await _asked(pages.run_json, request.match_info["run"])))

    app = web.Application(middlewares=[guard])
    app.router.add_get("/", runs)
    app.router.add_get("/runs/{run}", run)
    app.router.add_get("/compare", compared)
    app.router.add_get("/api/runs", runs_json)
    app.router.add_get("/api/runs/{run}", run_json)
    return app


async def _asked(ask: Callable[..., T], *arguments: object) -> T:
    """What a function that takes its time answers; what it refuses, as HTTP says it."""
    try:
        return await asyncio.to_thread(ask, *arguments)
    except NotFound as error:
        raise web.HTTPNotFound(text=str(error)) from None
    except UsageError as error:
        raise web.HTTPBadRequest(text=str(error)) from None
    except RaytrainError as error:
        raise web.HTTPServiceUnavailable(text=str(error)) from None


def _is(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _cookie(request: web.Request) -> str:
    """Of this port: browsers keep cookies by host alone, and two servers may run."""
    return f"{_COOKIE}-{request.host.rpartition(':')[2]}"


def _page(html: str, nonce: str) -> web.Response:
    return _headed(web.Response(text=html, content_type="text/html"), f"'nonce-{nonce}'")


def _headed(response: web.Response, scripts: str = "'none'") -> web.Response:
    response.headers.update(
        {
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'unsafe-inline'; script-src {scripts}; connect-src 'self';"
                " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            ),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
    )
    return response
