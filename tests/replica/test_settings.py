"""Every setting is a variable, a flag and a field of one name, with one default."""

import argparse
from pathlib import Path

import pytest

from skyserve_llm.replica import settings
from skyserve_llm.replica.errors import StartError
from skyserve_llm.replica.settings import SETTINGS, GateSettings, Setting, as_environment

# Something other than the default for each way of writing a value.
OTHER = {
    "allow_routes": "/tokenize,GET /version",
    "preemption_watch": "gcp",
    "on_rebalance": "drain",
    "metadata_url": "http://127.0.0.1:1234",
}


def other(setting: Setting) -> str:
    return OTHER.get(setting.name, "7")


def parsed(*words: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--api-key-file", type=Path)
    settings.add_arguments(parser)
    return vars(parser.parse_args(words))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_flag_a_variable_and_a_flag_made_a_variable_say_the_same(setting: Setting) -> None:
    plain = GateSettings.from_env({"LLMBUDGET_REPLICA_ID": "1"}, parsed())
    given = parsed(setting.flag, other(setting))
    by_flag = getattr(GateSettings.from_env({}, given), setting.name)
    by_variable = GateSettings.from_env({setting.variable: other(setting)})
    handed_on = GateSettings.from_env(as_environment(given))
    assert by_flag == getattr(by_variable, setting.name) == getattr(handed_on, setting.name)
    assert by_flag != getattr(plain, setting.name)


def test_a_flag_goes_before_its_variable() -> None:
    both = GateSettings.from_env({"LLMBUDGET_KEEP_ALIVE_S": "3"}, parsed("--keep-alive-s", "4"))
    assert both.keep_alive_s == 4


def test_no_flag_is_no_variable() -> None:
    assert as_environment(parsed()) == {}


def test_the_key_file_is_handed_on_by_its_path_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("sk-secret")
    handed_on = as_environment(parsed("--api-key-file", str(file)))
    assert handed_on == {"LLMBUDGET_API_KEY_FILE": str(file)}
    assert GateSettings.from_env(handed_on).keys.accepts(b"Bearer sk-secret")
    assert not GateSettings.from_env(handed_on).keys.accepts(b"Bearer sk-other")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LLMBUDGET_MAX_IN_FLIGHT", "0"),
        ("LLMBUDGET_MAX_BODY_BYTES", "1.5"),
        ("LLMBUDGET_LAME_DUCK_S", "-1"),
        ("LLMBUDGET_PREEMPTION_WATCH", "oracle"),
        ("LLMBUDGET_ALLOW_ROUTES", "tokenize"),
        ("LLMBUDGET_METADATA_URL", "169.254.169.254"),
        ("LLMBUDGET_API_KEY_FILE", "/nowhere/keys"),
    ],
)
def test_a_wrong_variable_is_told(variable: str, value: str) -> None:
    with pytest.raises(StartError) as told:
        GateSettings.from_env({variable: value})
    assert value in str(told.value)
