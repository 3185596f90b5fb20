"""Stands between the command and a cluster, and loses replies: the request arrives, the answer does not."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import psutil


class LosingProxy:
    """A context that gives the address to use.

    Args:
        url: the cluster's.
        lose: how many processes lose the reply to their first submission.

    Attributes:
        lost: how many replies have been lost.
    """

    def __init__(self, url: str, *, lose: int) -> None:
        self.lost = 0
        upstream = urlsplit(url).netloc
        proxy, lock = self, threading.Lock()
        senders: set[int] = set()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                connection = http.client.HTTPConnection(upstream, timeout=120)
                connection.request(self.command, self.path, body=body, headers=dict(self.headers))
                reply = connection.getresponse()
                content = reply.read()
                connection.close()
                loses = False
                if self.command == "POST" and self.path == "/api/jobs/":
                    sender = _process_at(self.client_address[1])
                    with lock:
                        loses = sender not in senders and proxy.lost < lose
                        senders.add(sender)
                        proxy.lost += loses
                if loses:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                self.send_header("Content-Type", reply.getheader("Content-Type") or "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = _forward

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)

    def __enter__(self) -> LosingProxy:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"


def _process_at(port: int) -> int:
    """The process on this machine whose connection begins at that port."""
    connections = psutil.net_connections("tcp")
    return next(each.pid or 0 for each in connections if each.laddr and each.laddr.port == port)
