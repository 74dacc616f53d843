"""Which routes of an engine a request can reach."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.replica.routes import Route, RouteList


def opens(method: str, path: str, *routes: str, root: str = "") -> bool:
    scope = {"method": method, "path": path, "root_path": root}
    return RouteList(map(Route.parse, routes)).opens(scope)


@pytest.mark.parametrize(
    "path",
    ["/v1/models", "/v1/models/org/model", "/v1/chat/completions", "/v1/completions"],
)
def test_openais_routes_are_open(path: str) -> None:
    assert opens("GET", path)
    assert opens("POST", path)


# What vLLM 0.32 has beside them, and tricks around the paths that are open.
@pytest.mark.parametrize(
    "path",
    [
        "/", "/docs", "/openapi.json", "/health", "/load", "/ping", "/version", "/invocations",
        "/tokenize", "/detokenize", "/sleep", "/wake_up", "/reset_prefix_cache", "/pause",
        "/collective_rpc", "/update_weights", "/server_info", "/scale_elastic_ep",
        "/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/v1/chat/completions/render",
        "/metrics", "//v1/models", "/v1/models/../../sleep", "/V1/MODELS", "v1/models",
        "/v1/completions/", "/v1/completions//", "/v1/completions/../sleep", "/v1", "", "*",
        "http://host/v1/models", "/v1/chat/completions\x00", "/v1/chat/completions ",
    ],
)  # fmt: skip
def test_what_is_not_on_the_list_is_closed(path: str) -> None:
    # A router does not resolve '..': behind /v1/models/ it is the name of a model.
    expected = path.startswith("/v1/models/")
    assert opens("POST", path) is expected


def test_routes_are_opened_one_by_one() -> None:
    asked = ("/tokenize", "get /version", "/v1/audio/*")
    assert opens("POST", "/tokenize", *asked)
    assert opens("GET", "/version", *asked)
    assert not opens("POST", "/version", *asked)
    assert opens("POST", "/v1/audio/speech", *asked)
    assert not opens("POST", "/detokenize", *asked)


def test_a_prefix_that_the_app_is_mounted_under_is_not_part_of_the_route() -> None:
    assert opens("GET", "/api/v1/models", root="/api")
    assert opens("GET", "/v1/models", root="/api")
    assert not opens("GET", "/apiv1/models", root="/api")
    assert not opens("GET", "/api/sleep", root="/api")


@pytest.mark.parametrize("text", ["", "tokenize", "GET", "GET tokenize"])
def test_a_route_begins_with_a_slash(text: str) -> None:
    with pytest.raises(ValueError, match="no route"):
        Route.parse(text)


@given(st.sampled_from(["", "GET ", "post "]), st.text("abc/*-", max_size=12))
def test_a_route_reads_as_it_is_written(method: str, rest: str) -> None:
    route = Route.parse(f"{method}/{rest}")
    assert Route.parse(str(route)) == route
