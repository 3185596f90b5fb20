"""A real S3 server of this machine's own, a process, for what is said to work with object stores."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep

import pytest

BUCKET = "bucket"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}
# moto looks whether there is an object and then writes it, each request in a thread: two puts at once would both pass
# a condition, as they cannot in S3. As a server that has no conditions, it passes over the header.
_SERVER = """
import threading
from moto.s3.responses import S3Response
from moto.server import main
lock, put = threading.Lock(), S3Response.put_object
def put_alone(self):
    with lock:
        if {conditions} is False:
            self.headers.pop("If-None-Match", None)
        return put(self)
S3Response.put_object = put_alone
main(["-H", "127.0.0.1", "-p", "{port}"])
"""


class S3:
    """The server; `stop` and `start` are what its users see as an outage, after which the bucket is empty.

    Args:
        conditions: whether it takes conditional puts.
    """

    def __init__(self, *, conditions: bool = True) -> None:
        self._conditions = conditions
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            self.port = holder.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def uri(self, *names: str) -> str:
        """A URI that needs no environment but the keys."""
        return f"s3://{'/'.join((BUCKET, *names))}?endpoint_override={self.endpoint}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER.format(conditions=self._conditions, port=self.port)],
            env=os.environ | KEYS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                assert monotonic() < deadline, "the S3 server does not start"
                sleep(0.1)
        from pyarrow import fs

        fs.FileSystem.from_uri(f"{self.uri()}&allow_bucket_creation=true")[0].create_dir(BUCKET)

    @contextmanager
    def in_environment(self) -> Iterator[None]:
        """The keys and the address, as a user would put them into `environment.env_vars`."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**KEYS, "AWS_ENDPOINT_URL": self.endpoint}.items():
                patch.setenv(name, value)
            yield

    def stop(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()


@contextmanager
def s3_server(*, conditions: bool = True) -> Iterator[S3]:
    """The server, with the keys in this process's environment."""
    server = S3(conditions=conditions)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        try:
            yield server
        finally:
            server.stop()
