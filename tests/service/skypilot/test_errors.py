"""What SkyPilot raises, as one line with a way out."""

import pytest

from skyserve_llm.service.skypilot.errors import first_line, translated


def error_of(name: str, message: str, base: type[Exception] = Exception) -> Exception:
    return type(name, (base,), {})(message)


@pytest.mark.parametrize(
    ("error", "hint"),
    [
        (error_of("NoCloudAccessError", "Cloud access is not set up. Run: \x1b[1msky check\x1b[0m"),
         "sky check"),
        (error_of("ApiServerConnectionError", "Could not connect to SkyPilot API server at http://x",
                  RuntimeError), "sky api start"),
        (error_of("APIVersionMismatchError", "client is older", RuntimeError), "sky api stop"),
        (error_of("ApiServerAuthenticationError", "Authentication required", RuntimeError),
         "sky api login"),
        (RuntimeError("SkyPilot API server process exited unexpectedly.\nView logs at: ~/x"),
         "sky api stop"),
        (error_of("ResourcesUnavailableError",
                  "Failed to acquire resources: VcpuLimitExceeded: You have"), "quota"),
        (error_of("ResourcesUnavailableError", "QUOTA_EXCEEDED: NVIDIA_L4_GPUS"), "quota"),
        (error_of("ResourcesUnavailableError", "InsufficientInstanceCapacity in us-east-1a"),
         "no machine of that kind is free"),
        (error_of("ResourcesUnavailableError", "ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS"),
         "no machine of that kind is free"),
        (error_of("ResourcesUnavailableError",
                  "Catalog does not contain any instances satisfying the request"), "--clouds"),
        (error_of("CloudError", "UnauthorizedOperation: you are not authorized to perform"),
         "sky check"),
        (error_of("PermissionDeniedError", "not your service"), "permissions"),
        (error_of("InvalidCloudCredentials", "expired"), "sky check"),
        (ValueError("Invalid instance type 'g6.huge' for cloud AWS."), "instance_type"),
        (ValueError("Service qwen already exists."), "--name"),
        (RuntimeError("Failed to refresh services status due to network error."), "internet"),
        (RuntimeError("No value available for secret(s): LLMBUDGET_API_KEY."), "export"),
        (RuntimeError("something new"), None),
    ],
)  # fmt: skip
def test_each_failure_has_its_own_way_out(error: Exception, hint: str | None) -> None:
    out = translated(error, "cannot do it")

    assert out.exit_code == 5
    assert out.message.startswith("cannot do it: ")
    assert "\n" not in out.message
    assert "\x1b" not in out.message
    if hint is None:
        assert out.hint is None
    else:
        assert out.hint is not None
        assert hint in out.hint


def test_an_error_without_words_is_named() -> None:
    assert first_line(ValueError("\n  \n")) == "ValueError"


def test_a_long_line_is_cut() -> None:
    assert len(first_line(ValueError("x" * 5000))) == 300


def test_the_classes_are_skypilots(sky: object) -> None:
    from sky import exceptions

    from skyserve_llm.service.skypilot.errors import _RULES

    names = {name for rule in _RULES for name in rule.classes}
    assert all(hasattr(exceptions, name) for name in names)
