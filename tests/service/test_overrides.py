"""``--set`` and the overrides file: what they change, and what they must leave alone."""

from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skyserve_llm.errors import InputError
from skyserve_llm.service.overrides import (
    apply,
    changes_machines,
    merge,
    parse_assignments,
    parse_file,
    to_replicas,
)
from skyserve_llm.service.render import render
from skyserve_llm.service.spec import service_spec
from tests.service.plans import plan

TEXT = render(service_spec(plan(), name="qwen", replicas=2))

BASE = """\
# What this is.
name: a

# About the service.
service:
  # Why 2.
  replicas: 2
  probe:
    # Why this path.
    path: /health

# Only a script.
run: |
  echo 1
  # the last line of the script
# About the end.
last: [1, 2]
"""


def test_set_reads_its_value_as_yaml() -> None:
    assert parse_assignments(
        ["resources.disk_size=200", "resources.labels.team=ml", "a.b=[1, x]", "c=", "d=a=b"]
    ) == {
        "resources": {"disk_size": 200, "labels": {"team": "ml"}},
        "a": {"b": [1, "x"]},
        "c": None,
        "d": "a=b",
    }


def test_a_later_set_goes_before_an_earlier_one() -> None:
    assert parse_assignments(["a.b=1", "a.c=2", "a.b=3"]) == {"a": {"b": 3, "c": 2}}


@pytest.mark.parametrize("bad", ["disk_size", "=1", ".a=1", "a..b=1", "a.=1", "a=[1", "a={"])
def test_a_set_that_cannot_be_read_is_an_input_error(bad: str) -> None:
    with pytest.raises(InputError, match="--set"):
        parse_assignments([bad])


def test_a_file_of_overrides_is_a_mapping() -> None:
    assert parse_file("a: {b: 1}", "o.yaml") == {"a": {"b": 1}}
    assert parse_file("", "o.yaml") == {}
    with pytest.raises(InputError, match=r"o\.yaml is not a mapping"):
        parse_file("- a", "o.yaml")
    with pytest.raises(InputError, match=r"o\.yaml is not YAML"):
        parse_file("a: [", "o.yaml")


def test_mappings_are_merged_and_all_else_is_replaced() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert merge(base, {"a": {"c": [3]}, "d": {"e": 1}, "f": None}) == {
        "a": {"b": 1, "c": [3]},
        "d": {"e": 1},
        "f": None,
    }


def test_what_nobody_touched_keeps_its_lines_and_comments() -> None:
    assert apply(BASE, {"service": {"probe": {"path": "/v1/health", "timeout": 5}}, "new": 1}) == (
        BASE.replace("/health", "/v1/health\n    timeout: 5") + "new: 1\n"
    )


def test_a_replaced_value_keeps_the_comment_above_it() -> None:
    changed = apply(BASE, {"run": "echo 2", "last": {"a": 1}})

    assert changed.endswith("# Only a script.\nrun: echo 2\n# About the end.\nlast:\n  a: 1\n"), (
        changed
    )


def test_no_overrides_no_change() -> None:
    assert apply(TEXT, {}) == TEXT
    assert apply(TEXT, {"name": "qwen"}) == TEXT


def test_the_short_form_of_replicas_takes_the_place_of_the_policy() -> None:
    service = yaml.safe_load(apply(TEXT, {"service": {"replicas": 5}}))["service"]

    assert service["replicas"] == 5
    assert "replica_policy" not in service


def test_autoscaling_can_be_asked_for() -> None:
    asked = {"service": {"replica_policy": {"max_replicas": 4, "target_qps_per_replica": 2}}}
    assert yaml.safe_load(apply(TEXT, asked))["service"]["replica_policy"] == {
        "min_replicas": 2,
        "max_replicas": 4,
        "target_qps_per_replica": 2,
    }


def test_a_null_takes_a_resource_away() -> None:
    """The way out where SkyPilot's catalog does not have the plan's instance type."""
    text = apply(TEXT, {"resources": {"instance_type": None}})

    assert "instance_type" not in yaml.safe_load(text)["resources"]
    assert "accelerators: L4:1" in text
    assert apply(text, {"resources": {"instance_type": None}}) == text


def test_a_secrets_value_does_not_land_in_the_yaml() -> None:
    with pytest.raises(InputError, match="does not belong into the YAML"):
        apply(TEXT, {"secrets": {"HF_TOKEN": "hf_abc"}})
    assert "WANDB_KEY: null" in apply(TEXT, {"secrets": {"WANDB_KEY": None}})


@pytest.mark.parametrize(
    ("overrides", "changes"),
    [
        ({}, False),
        ({"service": {"replicas": 3}}, False),
        ({"resources": {"disk_size": 300, "labels": {"a": "b"}}}, False),
        ({"resources": {"instance_type": "g6.2xlarge"}}, True),
        ({"resources": {"use_spot": False}}, True),
        ({"resources": {"any_of": []}}, True),
    ],
)
def test_other_machines_are_told_from_the_same_ones(
    overrides: dict[str, Any], changes: bool
) -> None:
    assert changes_machines(overrides) is changes


@pytest.mark.parametrize(
    ("overrides", "after"),
    [
        ({}, {"replica_policy": {"min_replicas": 7}}),
        ({"replicas": 3}, {"replicas": 7}),
        (
            {"replica_policy": {"max_replicas": 4, "target_qps_per_replica": 2}},
            {"replica_policy": {
                "min_replicas": 7, "max_replicas": 7, "target_qps_per_replica": 2,
            }},
        ),
        (
            {"replica_policy": {"max_replicas": 9, "target_qps_per_replica": 2}},
            {"replica_policy": {
                "min_replicas": 7, "max_replicas": 9, "target_qps_per_replica": 2,
            }},
        ),
    ],
)  # fmt: skip
def test_a_service_is_scaled_in_whatever_form_its_replicas_are_written(
    overrides: dict[str, Any], after: dict[str, Any]
) -> None:
    text = apply(TEXT, {"service": overrides})
    service = yaml.safe_load(apply(text, to_replicas(yaml.safe_load(text), 7)))["service"]

    assert {key: service[key] for key in service if "repl" in key} == after


keys = st.sampled_from(["name", "service", "resources", "run", "ports", "extra", "infra", "a b"])
values = st.one_of(
    st.integers(), st.booleans(), st.text(max_size=20), st.lists(st.integers(), max_size=2)
)
trees = st.recursive(values, lambda inner: st.dictionaries(keys, inner, max_size=4), max_leaves=8)


@settings(deadline=None)
@given(st.dictionaries(keys, trees, max_size=4))
@example({"a b": {"a b": {"name": [7], "extra": "Â\x85ô\u2028"}}})
def test_the_text_always_says_what_the_merge_says(overrides: dict[str, Any]) -> None:
    text = apply(TEXT, overrides)

    assert yaml.safe_load(text) == merge(yaml.safe_load(TEXT), overrides)
    assert apply(text, overrides) == text
