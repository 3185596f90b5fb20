"""Starts the server in a thread of this process."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
from typing import Any, Self

from raytrain.errors import Problem, UsageError

_HOST = "127.0.0.1"


class Ui:
    """A server that runs until it is closed, or the process ends.

    Attributes:
        url: where a browser gets in, the token in it.
        token: that programs send.
    """

    def __init__(self, listening: socket.socket, storage: str | None) -> None:
        self.token = secrets.token_urlsafe(32)
        self.port = listening.getsockname()[1]
        self.url = f"http://{_HOST}:{self.port}/?token={self.token}"
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._ending = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(listening, storage), name="raytrain-ui", daemon=True)
        self._failed: BaseException | None = None
        self._thread.start()
        self._ready.wait()
        if self._failed is not None:
            raise self._failed

    def wait(self) -> None:
        """Until it is closed; interrupting that leaves it running."""
        while self._thread.is_alive():
            self._thread.join(0.5)

    def close(self) -> None:
        """Answers nothing any more."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def to_dict(self) -> dict[str, Any]:
        """As `ui --json` prints it."""
        return {"schema_version": 1, "url": self.url, "token": self.token, "port": self.port}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, listening: socket.socket, storage: str | None) -> None:
        try:
            self._loop.run_until_complete(self._serve(listening, storage))
        except Exception as failed:  # noqa: BLE001  raised where the server was asked for
            self._failed = failed
        finally:
            listening.close()
            self._loop.close()
            self._ready.set()

    async def _serve(self, listening: socket.socket, storage: str | None) -> None:
        from aiohttp import web

        from raytrain.client.ui.pages import Pages
        from raytrain.client.ui.server import application

        runner = web.AppRunner(application(Pages(storage), self.token), access_log=None)
        await runner.setup()
        await web.SockSite(runner, listening).start()
        self._ready.set()
        await self._ending.wait()
        await runner.cleanup()


def ui(*, storage: str | None = None, port: int = 0) -> Ui:
    """Serves the runs of a storage as pages, to this machine alone: list, filter, compare, and each run live.

    Args:
        storage: the directory that holds the runs'; the runs submitted from this machine when left out.
        port: of 127.0.0.1; a free one when 0.

    Returns:
        Its `.url`, for a browser; `.close()` ends it.

    Raises:
        NotFound: there is no such storage.
        UsageError: the port is taken.

    Example:
        >>> with raytrain.ui() as pages:
        ...     pages.url.startswith("http://127.0.0.1:")
        True
    """
    if storage is not None:
        from raytrain.client.run_list import list_runs

        list_runs(storage=storage, limit=1)
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((_HOST, port))
    except OSError as error:
        listening.close()
        got = f"port {port}: {error.strerror}"
        raise UsageError(Problem(got=got, expected="a free port", fix="--port 0 takes one")) from error
    return Ui(listening, storage)
