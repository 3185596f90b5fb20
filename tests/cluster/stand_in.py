"""A stand-in for a cluster's dashboard: an HTTP server of the standard library on this machine, told what to answer.

It stands where failures must be produced that a real Ray does not produce on demand (lost replies, other servers,
refused tokens); what a real Ray answers is asked of a real one in tests/integration/test_cluster.py.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What to reply. `hang_up`: close the connection without a word, after the request has arrived."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False
    wait_s: float = 0.0


class StandIn:
    """Answers each path with the answers given to it, in turn; the last one stays."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._answers: dict[str, list[Answer]] = {}
        self._ending = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=lambda: self._server.serve_forever(poll_interval=0.02), daemon=True).start()

    def answer(self, path: str, *answers: Answer) -> None:
        self._answers[path] = list(answers)

    def asked_for(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == path]

    def close(self) -> None:
        self._ending.set()
        self._server.shutdown()
        self._server.server_close()

    def reply_to(self, path: str) -> Answer:
        left = self._answers.get(path)
        if not left:
            return Answer(status=404, body="404: Not Found")
        return left.pop(0) if len(left) > 1 else left[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                stand_in.asked.append(
                    Asked(method=self.command, path=path, headers=dict(self.headers.items()), body=body)
                )
                answer = stand_in.reply_to(path)
                stand_in._ending.wait(answer.wait_s)
                if answer.hang_up:
                    self.close_connection = True
                    return
                content = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content.encode())))
                self.end_headers()
                self.wfile.write(content.encode())

            do_POST = do_PUT = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                return

        return Handler
