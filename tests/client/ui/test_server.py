"""The server by HTTP: who is let in, what is answered, and that nothing can be changed or read beside the runs."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import raytrain
from raytrain.client.ui.serve import Ui
from raytrain.errors import NotFound, UsageError
from tests.cli import lives
from tests.report.long_life import HOSTILE, hostile_life, troubled_life

OTHER = "digits-20261120-0716-bbbb"


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("storage")
    lives.write_log(folder / lives.RUN, lives.whole_life())
    lives.write_log(folder / OTHER, troubled_life())
    lives.write_log(folder / "hostile-20261120-0717-cccc", hostile_life())
    (folder / "secret.txt").write_text("not for you")
    return folder


@pytest.fixture(scope="module")
def pages(storage: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ui]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYTRAIN_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        with raytrain.ui(storage=str(storage)) as server:
            yield server


def ask(pages: Ui, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", pages.port, timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body, dict(answer.getheaders())


def allowed(pages: Ui, path: str) -> tuple[int, str, dict[str, str]]:
    return ask(pages, path, Authorization=f"Bearer {pages.token}")


@pytest.mark.parametrize("path", ["/", "/api/runs", f"/runs/{lives.RUN}", "/compare", "/nothing"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Cookie": "raytrain-ui=x"}])
def test_without_the_token_nothing_is_shown(pages: Ui, path: str, headers: dict[str, str]) -> None:
    status, body, _ = ask(pages, path, **headers)
    assert status == 401
    assert lives.RUN not in body


def test_a_browser_gets_in_by_the_address_that_is_printed(pages: Ui) -> None:
    address = urlsplit(pages.url)
    status, _, headers = ask(pages, f"{address.path}?{address.query}&q=digits")
    assert (status, headers["Location"]) == (303, "/?q=digits")
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert ask(pages, "/", Cookie=cookie.partition(";")[0])[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(pages: Ui, method: str) -> None:
    assert ask(pages, "/", method, Authorization=f"Bearer {pages.token}")[0] == 405


def test_a_name_that_leads_here_is_refused(pages: Ui) -> None:
    assert ask(pages, "/", Authorization=f"Bearer {pages.token}", Host=f"evil.example:{pages.port}")[0] == 403


@pytest.mark.parametrize("path", ["..%2Fsecret.txt", "%2e%2e", "secret.txt", "none", "digits", HOSTILE[:5]])
def test_only_what_is_listed_is_a_run(pages: Ui, path: str) -> None:
    for place in (f"/runs/{path.replace('<', '%3C')}", f"/api/runs/{path.replace('<', '%3C')}"):
        status, body, _ = allowed(pages, place)
        assert status == 404
        assert "not for you" not in body


def test_pages_may_run_no_script_but_their_own(pages: Ui) -> None:
    for path in ("/", f"/runs/{lives.RUN}", f"/compare?run={lives.RUN}&run={OTHER}"):
        status, body, headers = allowed(pages, path)
        assert status == 200, body
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["Cache-Control"] == "no-store"
        assert pages.token not in body


def test_the_list_is_filtered(pages: Ui) -> None:
    _, body, _ = allowed(pages, "/")
    assert all(run in body for run in (lives.RUN, OTHER, "hostile-"))
    _, body, _ = allowed(pages, "/?q=digits&status=FAILED")
    assert OTHER in body and lives.RUN not in body and "1 shown of 1 that fit, 3 in all" in body
    assert "No run fits" in allowed(pages, "/?q=none-such")[1]


def test_runs_as_json_and_compared(pages: Ui) -> None:
    listed = json.loads(allowed(pages, "/api/runs")[1])
    assert {run["run"] for run in listed["runs"]} >= {lives.RUN, OTHER}
    assert json.loads(allowed(pages, f"/api/runs/{lives.RUN}")[1])["status"] == "SUCCEEDED"
    assert "What differs" in allowed(pages, f"/compare?run={lives.RUN}&run={OTHER}")[1]
    assert allowed(pages, f"/compare?run={lives.RUN}")[0] == 400


def test_a_server_that_cannot_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "raytrain.client.ui.server", None)
    with pytest.raises(ImportError):
        raytrain.ui()


def test_a_port_that_is_taken_and_a_storage_that_is_none(pages: Ui, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a free port"):
        raytrain.ui(port=pages.port)
    with pytest.raises(NotFound):
        raytrain.ui(storage=str(tmp_path / "none"))
