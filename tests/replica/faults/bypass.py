"""Ways around the key: paths, hosts, methods and headers that once fooled somebody's gate."""

from functools import partial
from itertools import product

from tests.replica.faults.fault import Fault, all_of
from tests.replica.faults.target import CHAT, KEY, request

_PATHS = (
    "/v1/models", CHAT, "/metrics", "/v1/health/", "/v1/health/../models", "//v1/health/../models",
    "/v1/health/..%2fmodels", "/v1/health%2f..%2fmodels", "/v1/health/%2e%2e/models",
    "/v1/health/./../models", "/v1/health;/../models", "/v1/health?/../models", "/v1/health%00",
    "/v1/health%0d%0a/v1/models", "/v1/health%20", "/v1/health.json", "/V1/HEALTH", "/v1//health",
    "//v1/health", "/./v1/health", "/v1/%68ealth/../models", "/v1\\health",
    "/v1/health\\..\\models",
    "/v1/models?path=/v1/health", "/v1/models#/v1/health", "/v1/models%3f/v1/health",
    "/v1/models/../health/../models", "http://replica/v1/models", "http://replica//v1/health/",
    "http://127.0.0.1/v1/models", "https://x@replica/v1/models", "/v1/models/%2e%2e/%2e%2e/metrics",
    "/%76%31/models", "/v1/mode%6cs", "/v1/models%252f", "*", "v1/models", "/", "/docs", "/sleep",
    "/openapi.json", f"/v1/models?api_key={KEY}", f"/v1/models?key={KEY}", f"/{KEY}/v1/models",
)  # fmt: skip
_HOSTS = (
    "replica",
    "localhost",
    "127.0.0.1",
    "replica/v1/health",
    "",
    "replica:80@x",
    "a\tb",
    "[::1]",
)
_METHODS = (
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "get",
    "G\x00T",
    "QUERY",
)
_HEADERS = (
    "x-original-url: /v1/health", "x-rewrite-url: /v1/health", "x-forwarded-path: /v1/health",
    "x-forwarded-prefix: /v1/health", "x-forwarded-host: localhost", "x-forwarded-for: 127.0.0.1",
    "forwarded: for=127.0.0.1;host=localhost", "x-real-ip: 127.0.0.1",
    "x-http-method-override: GET", "authorization:", "authorization: Bearer",
    "authorization: Bearer ", "authorization: Bearer null",
    f"authorization: {KEY}", f"authorization: Basic {KEY}", f"authorization: Bearer{KEY}",
    f"authorization: Bearer {KEY}x", f"authorization: Bearer {KEY[:-1]}", "authorization: Bearer *",
    f"authorization: Bearer {KEY.upper()}", f"authorization: Bearer x {KEY}",
    f"authorization: Bearer {KEY},{KEY}", f"authorization: Bearer {KEY}\x00", "cookie: key=" + KEY,
    f"x-api-key: {KEY}", f"api-key: {KEY}", f"proxy-authorization: Bearer {KEY}",
    f"authorization : Bearer {KEY}", f"Authorization\t: Bearer {KEY}",
    f"x: y\r\n authorization: Bearer {KEY}",
    f"authorization: Bearer x\r\nauthorization: Bearer {KEY}",
    f"authorization: Bearer {KEY}\r\nauthorization: Bearer x",
)  # fmt: skip
# A list of one's own, not every 4xx: a 404 without a key would tell which routes there are.
_REFUSED = frozenset({"400", "401", "closed", "health"})


def faults(scale: int) -> list[Fault]:
    """``scale`` does not matter: every trick is tried once on every path that it is about."""
    keyless = partial(request, key=None)
    paths = [keyless("GET", path) for path in _PATHS]
    paths += [keyless("POST", path, "content-length: 2", body=b"{}") for path in _PATHS]
    hosts = [keyless("GET", path, host=host) for path, host in product(_PATHS[:4], _HOSTS)]
    methods = [
        keyless(method, path)
        for method, path in product(_METHODS, ("/v1/models", CHAT, "/v1/health"))
        if (method, path) != ("GET", "/v1/health")
    ]
    headers = [keyless("GET", path, line) for line, path in product(_HEADERS, _PATHS[:3])]
    old = [
        keyless("GET", "/v1/models", version=version)
        for version in ("HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9", "")
    ]
    tricks = {
        "paths": paths,
        "hosts": hosts,
        "methods": methods,
        "headers": headers,
        "versions": old,
    }
    return [
        Fault(
            name=f"{name} around the key", act=partial(all_of, payloads=payloads), allowed=_REFUSED
        )
        for name, payloads in tricks.items()
    ]
