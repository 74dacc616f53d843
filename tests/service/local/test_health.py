"""When a replica is ready and when it is lost, on values alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyserve_llm.service.local.health import Health, Verdict
from skyserve_llm.service.types import ReadinessProbe

RULES = ReadinessProbe(
    endpoint_probe_interval_seconds=5,
    initial_delay_seconds=60,
    consecutive_failure_threshold_timeout=20,
)


def verdicts(probes: list[tuple[float, bool]]) -> list[Verdict]:
    health = Health(RULES, launched=0)
    return [health.judge(answered=answered, at=at) for at, answered in probes]


def test_failures_before_the_first_answer_wait_for_the_initial_delay():
    assert verdicts([(5, False), (59, False), (60, False)]) == [
        Verdict.STARTING,
        Verdict.STARTING,
        Verdict.LATE,
    ]


def test_a_late_answer_is_an_answer():
    assert verdicts([(61, True)]) == [Verdict.READY]


def test_lost_after_failing_for_the_threshold():
    probes = [(5, True), (10, False), (25, False), (29.9, False), (30, False)]
    assert verdicts(probes)[1:] == [Verdict.NOT_READY] * 3 + [Verdict.LOST]


def test_one_answer_begins_a_new_count():
    probes = [(5, True), (10, False), (29, False), (30, True), (31, False), (50, False)]
    assert verdicts(probes)[3:] == [Verdict.READY, Verdict.NOT_READY, Verdict.NOT_READY]


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_never_lost_while_answers_come_closer_than_the_threshold(answers):
    at = [5.0 * n for n in range(len(answers) + 1)]
    seen = verdicts([(0.0, True), *zip(at[1:], answers, strict=True)])
    run = longest = 0
    for answered in answers:
        run = 0 if answered else run + 1
        longest = max(longest, run)
    # Failures at 5 s intervals span 20 s from the fifth on.
    assert (Verdict.LOST in seen) == (longest >= 5)


@pytest.mark.parametrize("answered", [True, False])
def test_ready_is_exactly_an_answer(answered):
    assert (verdicts([(1, answered)]) == [Verdict.READY]) is answered
