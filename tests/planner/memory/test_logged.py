"""The whole estimate against starts of vLLM that were measured (benchmarks/data)."""

from statistics import median

import pytest

from benchmarks.memory_accuracy import Row, compare
from benchmarks.points import Point, shipped_points

POINTS = shipped_points()
ROWS = [compare(point) for point in POINTS]
SOUND = [row for row in ROWS if row.states_flags]


def errors(rows: list[Row], field: str) -> list[float]:
    return [abs(value) for row in rows if (value := getattr(row, field)) is not None]


def test_there_are_points_of_every_kind() -> None:
    assert len(SOUND) >= 15
    assert {point.tensor_parallel_size for point in POINTS} >= {1, 2, 8}
    assert {point.enforce_eager for point in POINTS} == {True, False}
    assert all(point.source for point in POINTS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_weights_are_within_a_hundredth(row: Row) -> None:
    if row.weights_error is None:
        pytest.skip("weights were not logged")
    assert abs(row.weights_error) <= 0.01


def test_what_lies_beside_is_within_half_a_gib() -> None:
    found = errors(SOUND, "beside_error_gib")
    assert median(found) <= 0.5
    assert max(found) <= 1.5


def test_kv_tokens_are_within_three_hundredths() -> None:
    found = errors(SOUND, "kv_error")
    assert median(found) <= 0.03
    assert max(found) <= 0.10


def test_tokens_of_the_logged_bytes_are_vllms() -> None:
    assert max(errors(ROWS, "kv_error_of_logged_bytes")) <= 0.002


def test_the_band_holds_what_was_logged() -> None:
    known = [row.in_band for row in SOUND if row.in_band is not None]
    assert sum(known) >= 0.9 * len(known)


def test_rules_of_thumb_are_further_off() -> None:
    ours = median(errors(SOUND, "kv_error"))
    assert ours < median(errors(SOUND, "accelerate_kv_error"))
    assert ours < median(errors(SOUND, "times_1_2_kv_error"))


def beside(point: Point) -> float:
    found = point.beside_gib
    assert found is not None
    return found


def test_a_point_knows_what_was_taken_beside() -> None:
    llama = next(point for point in POINTS if point.id == "h200-llama-3.1-8b")
    assert beside(llama) == pytest.approx(139.8007 * 0.9 - 15.0 - 108.81, abs=0.001)
