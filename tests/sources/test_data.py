"""Finding the data folders and reading a table out of them."""

from pathlib import Path

import pytest

from skyserve_llm.errors import DataError
from skyserve_llm.sources.data import pricing_dir, read_table, templates_dir


def test_checkout_holds_both_folders_beside_the_package():
    assert (pricing_dir() / "offers.csv").is_file()
    assert templates_dir().is_dir()


def test_a_wheel_holds_them_inside_the_package(tmp_path: Path):
    package = tmp_path / "site-packages" / "skyserve_llm"
    inside = package / "_data" / "pricing"
    inside.mkdir(parents=True)
    # Somebody else's top-level package of that name must not be taken for our data.
    (package.parent / "pricing").mkdir()

    assert pricing_dir(package) == inside


@pytest.mark.parametrize("find", [pricing_dir, templates_dir])
def test_a_missing_folder_is_told_with_a_way_out(tmp_path: Path, find):
    with pytest.raises(DataError, match="folder is missing") as caught:
        find(tmp_path / "skyserve_llm")
    assert caught.value.hint is not None
    assert "reinstall" in caught.value.hint
    assert caught.value.exit_code == 2


def test_reads_rows_and_leaves_blank_lines_out(tmp_path: Path):
    table = tmp_path / "t.csv"
    table.write_text('a,b\n1,"x, y"\n\n2,z\n\n', encoding="utf-8")
    assert read_table(table, ("a", "b")) == [["1", "x, y"], ["2", "z"]]


def test_reads_what_a_spreadsheet_saves(tmp_path: Path):
    table = tmp_path / "t.csv"
    table.write_bytes(b"\xef\xbb\xbfa,b\r\n1,2\r\n")
    assert read_table(table, ("a", "b")) == [["1", "2"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "line 1: the header is ''"),
        (b"a,c\n1,2\n", "line 1: the header is 'a,c'"),
        (b"\na,b\n1,2\n", "line 1: the header is ''"),
        (b"a,b\n1,2\n1\n", "line 3: 1 columns, expected 2"),
        (b"a,b\n1,2\n\n1,2,3\n", "line 4: 3 columns, expected 2"),
        (b"a,b\n\xff,2\n", "not a CSV table in UTF-8"),
        (b'a,b\n"1,2\n', "not a CSV table in UTF-8"),
    ],
)
def test_a_broken_table_is_told_by_file_and_line(tmp_path: Path, content: bytes, message: str):
    table = tmp_path / "prices.csv"
    table.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_table(table, ("a", "b"))
    assert str(table) in caught.value.message
    assert message in caught.value.message
    assert caught.value.hint


def test_a_missing_table_is_told(tmp_path: Path):
    with pytest.raises(DataError, match="No such file"):
        read_table(tmp_path / "none.csv", ("a",))
