"""Whatever the API's own description allows, and what it does not: schemathesis makes it up."""

import asyncio
import contextlib
import json
from functools import partial
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from skyserve_llm.replica.protocol import ChatRequest, CompletionRequest
from tests.replica.faults.fault import Fault
from tests.replica.faults.target import KEY, Target


def document() -> dict[str, Any]:
    """The OpenAPI document of the replica's routes, from the models that read their bodies."""
    requests = {"chat/completions": ChatRequest, "completions": CompletionRequest}
    components: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for path, model in requests.items():
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        components |= schema.pop("$defs", {})
        components[model.__name__] = schema
        body = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}
        paths[f"/v1/{path}"] = {
            "post": {
                "requestBody": {"required": True, "content": {"application/json": body}},
                "responses": {"200": {"description": "An answer, or a stream of one."}},
            }
        }
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    answer = {"200": {"description": "What was asked for."}}
    paths["/v1/models"] = {"get": {"responses": answer}}
    paths["/v1/models/{name}"] = {"get": {"parameters": [name], "responses": answer}}
    paths["/v1/health"] = {"get": {"responses": answer}}
    paths["/metrics"] = {"get": {"responses": answer}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "replica", "version": "1"},
        "paths": paths,
        "components": {"schemas": components},
    }


def _explore(target: Target, *, examples: int) -> list[str]:
    words: list[str] = []
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(document())))
    for found in schema.get_all_operations():
        operation = found.ok()
        for mode in schemathesis.GenerationMode:

            @settings(
                max_examples=examples,
                deadline=None,
                database=None,
                derandomize=True,
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def try_it(case: Any) -> None:
                response = case.call(
                    base_url=f"http://127.0.0.1:{target.port}",
                    headers={"authorization": f"Bearer {KEY}"},
                    timeout=20,
                )
                words.append(str(response.status_code))

            # A route without parameters cannot be asked wrongly.
            with contextlib.suppress(Unsatisfiable):
                try_it()
    return words


async def _explored(target: Target, *, examples: int) -> list[str]:
    return await asyncio.to_thread(_explore, target, examples=examples)


def faults(scale: int) -> list[Fault]:
    """``scale`` multiplies the examples of each route."""
    return [
        Fault(
            name="schemathesis",
            act=partial(_explored, examples=20 * scale),
            allowed=frozenset({"200", "400", "404", "405"}),
        )
    ]
