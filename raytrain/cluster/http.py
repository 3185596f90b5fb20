"""One HTTP exchange with a cluster's dashboard: time-outs, the token, and every failure as an error of ours.

Ray's own client has no time-outs, follows redirects with the token in its hand, and lets the environment change the
address; so this speaks HTTP itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from raytrain.cluster import auth
from raytrain.cluster.address import is_loopback_host
from raytrain.errors import ClusterError, ClusterUnreachable, Problem, UploadTooLarge

if TYPE_CHECKING:
    import requests
    from urllib3.exceptions import HTTPError

T = TypeVar("T")

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 30.0


class Transport:
    """Sends requests to one dashboard. One object is used by one thread at a time."""

    def __init__(
        self,
        url: str,
        *,
        tokens: auth.Tokens | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        """Makes no connection yet.

        Raises:
            ClusterError: a token would travel in the clear.
        """
        self.url = url.rstrip("/")
        self._tokens = tokens
        self._token = tokens.at_once(self.url) if tokens else None
        self._connect_timeout_s, self._read_timeout_s = connect_timeout_s, read_timeout_s
        self._session: requests.Session | None = None

    @property
    def sends_token(self) -> bool:
        """Whether the dashboard has asked for one so far, or is sent one at once."""
        return self._token is not None

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: Any = None,
        data: bytes | None = None,
        read_timeout_s: float | None = None,
        accept: tuple[int, ...] = (200,),
    ) -> requests.Response:
        """The reply, when its status is one of `accept`.

        Raises:
            ClusterUnreachable: nobody answers, not in time, not as Ray, or asks for another token.
            UploadTooLarge: the dashboard, or a proxy before it, refuses the size.
            ClusterError: Ray answers with an error of its own.
        """
        import requests
        from urllib3.exceptions import HTTPError

        try:
            response = self._open().request(
                method,
                self.url + path,
                params=params,
                json=json,
                data=data,
                timeout=(self._connect_timeout_s, read_timeout_s or self._read_timeout_s),
                allow_redirects=False,
            )
        except (requests.RequestException, HTTPError) as error:  # some of the layer below come through as they are
            raise ClusterUnreachable(self._problem_of(error, read_timeout_s or self._read_timeout_s)) from error
        if response.status_code in accept:
            return response
        if response.status_code == 401 and self._tokens and not self._token:
            self._token = self._tokens.when_asked(self.url)
            if self._token:
                return self.send(
                    method, path, params=params, json=json, data=data, read_timeout_s=read_timeout_s, accept=accept
                )
        raise self._refusal(response, path)

    def get_json(self, path: str, read: Callable[[Any], T], *, params: Mapping[str, str | int] | None = None) -> T:
        """As `json_of` the reply."""
        return self.json_of(self.send("GET", path, params=params), read)

    def json_of(self, response: requests.Response, read: Callable[[Any], T]) -> T:
        """What `read` makes of the reply's body.

        Raises:
            ClusterUnreachable: it is no JSON, or not of the shape that `read` goes by: something else than Ray answers.
        """
        try:
            body = response.json()
        except ValueError:
            raise ClusterUnreachable(self._not_ray("a reply that is no JSON")) from None
        try:
            return read(body)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ClusterUnreachable(self._not_ray("a reply that is not Ray's")) from error

    def _open(self) -> requests.Session:
        if self._session is None:
            import requests

            self._session = requests.Session()
            # A proxy of the environment would be asked for this machine's own addresses too.
            self._session.trust_env = not is_loopback_host(urlsplit(self.url).hostname or "")
            # An auth object, even one that adds nothing, keeps ~/.netrc from adding its own.
            self._session.auth = self._add_token
        return self._session

    def _add_token(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            # Proxies that ask for a token of their own keep the first from arriving.
            for header in ("Authorization", "X-Ray-Authorization"):
                request.headers[header] = f"Bearer {self._token}"
        return request

    def _problem_of(self, error: requests.RequestException | HTTPError, read_timeout_s: float) -> Problem:
        import requests
        from urllib3.exceptions import LocationParseError

        expected = f"Ray's dashboard at {self.url}"
        fix = "check that the cluster is up and the address right; raytrain up starts one on this machine"
        if isinstance(error, requests.exceptions.SSLError):
            got, fix = f"a TLS failure ({_innermost(error)})", "REQUESTS_CA_BUNDLE names the certificates to trust"
        elif isinstance(error, requests.exceptions.ConnectTimeout):
            got = f"no connection within {self._connect_timeout_s:g} s"
        elif isinstance(error, requests.exceptions.Timeout):
            got = f"no answer within {read_timeout_s:g} s"
        elif isinstance(error, (requests.exceptions.InvalidURL, LocationParseError)):
            got = f"{urlsplit(self.url).hostname}, which is no host's name"
        elif "Name" in (why := _innermost(error)) and "resol" in why:
            got = f"no machine named {urlsplit(self.url).hostname}"
        elif "refused" in why:
            got = "connection refused, nobody listens there"
        else:
            got = f"a connection that broke ({why})"
        return Problem(got=got, expected=expected, fix=fix)

    def _refusal(self, response: requests.Response, path: str) -> ClusterError:
        status = response.status_code
        if status in (401, 403):
            sent = "the token sent is not the cluster's" if self._token else "no token was sent"
            return ClusterUnreachable(
                Problem(
                    got=f"HTTP {status} from {self.url}: {sent}", expected="the cluster's own token", fix=auth.ADVICE
                )
            )
        if status == 413:
            return UploadTooLarge(
                Problem(
                    got=f"HTTP 413 from {self.url}: the upload is too large for it",
                    expected="less than Ray's limit of 100 MiB, or that of a proxy before it",
                    fix="leave files out with environment.exclude",
                )
            )
        if 300 <= status < 400:
            return ClusterUnreachable(
                Problem(
                    got=f"a redirect from {self.url} to {response.headers.get('Location', 'elsewhere')}",
                    expected="the dashboard itself",
                    fix="use the address it points to, if you trust it",
                )
            )
        if status in (404, 405, 502, 503, 504):
            return ClusterUnreachable(self._not_ray(f"HTTP {status} for {path}"))
        return ClusterError(
            Problem(
                got=f"HTTP {status} from {self.url}{path}: {last_line(response.text)}",
                expected="a success",
                fix="the dashboard's log on the cluster's head says more: logs/dashboard.log in Ray's session",
            )
        )

    def _not_ray(self, got: str) -> Problem:
        return Problem(
            got=f"{got} from {self.url}",
            expected="Ray's dashboard with its Jobs API (ray[default] 2.60)",
            fix="check the address; the dashboard's port is 8265 unless the cluster was started with another",
        )


def was_lost(error: ClusterError) -> bool:
    """Whether the connection failed, so that the request may or may not have arrived."""
    import requests

    return isinstance(error.__cause__, (requests.ConnectionError, requests.Timeout))


def last_line(text: str) -> str:
    """The last line of a traceback that says something."""
    lines = [line.strip() for line in text.splitlines()]
    return next((line for line in reversed(lines) if re.search(r"\w", line)), "no message")[:500]


def _innermost(error: BaseException) -> str:
    """The reason at the bottom of the layers that requests and urllib3 put around it."""
    reason: Any = error
    while (inner := getattr(reason, "reason", None) or (reason.args[0] if reason.args else None)) is not None:
        if not isinstance(inner, BaseException):
            break
        reason = inner
    return re.sub(r"^.*?: (?=\S)", "", str(reason), count=1) if "object at 0x" in str(reason) else str(reason)
