"""What clouds charge beside compute, out of a table."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from skyserve_llm.errors import DataError
from skyserve_llm.sources.rates import COLUMNS, load_rates
from skyserve_llm.types import Rate


def table(folder: Path, *rows: str) -> Path:
    path = folder / "extras.csv"
    path.write_text("\n".join((",".join(COLUMNS), *rows)) + "\n", encoding="utf-8")
    return path


def test_gathers_a_clouds_figures_under_the_oldest_date(tmp_path: Path):
    rates = load_rates(
        table(
            tmp_path,
            "aws,disk_gib_month,0.08,2026-02-01,page a,gp3",
            "aws,egress_gib,0.09,2026-01-01,page b,",
            "lambda,egress_gib,0,2026-03-01,page c,none",
        )
    )
    assert rates["aws"] == Rate(
        cloud="aws",
        disk_gib_month=Decimal("0.08"),
        egress_gib=Decimal("0.09"),
        controller_hour=None,
        as_of=date(2026, 1, 1),
        source="page a; page b",
    )
    # Free is a price, unknown is not one.
    assert rates["lambda"].egress_gib == 0
    assert rates["lambda"].disk_gib_month is None
    assert "gcp" not in rates


def test_one_undated_figure_leaves_the_rate_undated(tmp_path: Path):
    path = table(
        tmp_path,
        "aws,disk_gib_month,0.08,2026-02-01,page,",
        "aws,egress_gib,0.09,,page,",
    )
    rate = load_rates(path)["aws"]
    assert rate.as_of is None
    assert rate.source == "page"


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("aws,ram,0.08,,page,", "rate"),
        ("aws,egress_gib,,,page,", "usd"),
        ("aws,egress_gib,-1,,page,", "usd"),
        ("aws,egress_gib,NaN,,page,", "usd"),
        ("aws,egress_gib,0.09,May 2026,page,", "as_of"),
        ("aws,egress_gib,0.09,,,", "source"),
        ("aws,disk_gib_month,0.1,,page,", "rate"),
    ],
)
def test_a_broken_row_is_told_by_line_and_column(tmp_path: Path, row: str, column: str):
    path = table(tmp_path, "aws,disk_gib_month,0.08,,page,", row)
    with pytest.raises(DataError, match=rf"line 3, column {column}: "):
        load_rates(path)
