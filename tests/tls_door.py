"""A door with TLS before a dashboard: what a company's proxy is, with a certificate of its own authority."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """A certificate for the host's address, which is its own authority, and its key."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=door"]
    command += ["-addext", f"subjectAltName=IP:{host}", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@contextmanager
def tls_door(folder: Path, host: str, behind: tuple[str, int]) -> Iterator[tuple[str, Path]]:
    """The door's url and the authority to trust; everything that comes in goes to the address `behind`."""
    cert, key = certificate(folder, host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with socket.create_server((host, 0)) as server:
        threading.Thread(target=_serve, args=(server, context, behind), daemon=True).start()
        yield f"https://{host}:{server.getsockname()[1]}", cert


def _serve(server: socket.socket, context: ssl.SSLContext, behind: tuple[str, int]) -> None:
    with contextlib.suppress(OSError):
        while True:
            threading.Thread(target=_relay, args=(server.accept()[0], context, behind), daemon=True).start()


def _relay(plain: socket.socket, context: ssl.SSLContext, behind: tuple[str, int]) -> None:
    with (
        plain,
        contextlib.suppress(OSError),
        context.wrap_socket(plain, server_side=True) as outside,
        socket.create_connection(behind) as inside,
    ):
        back = threading.Thread(target=_pump, args=(inside, outside), daemon=True)
        back.start()
        _pump(outside, inside)
        back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(1 << 16):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)
