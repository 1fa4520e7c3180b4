"""What `make matrix` runs, and how it counts."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.matrix import run as matrix
from tests.matrix.rows import CORNERS, LEFT_OUT, LOWEST, LOWEST_AIRFLOW, LOWEST_WITH, chosen
from tests.matrix.run import ROOT, Result, counted


def test_without_a_word_the_corners_and_the_lowest_versions_run() -> None:
    assert [row.name for row in chosen([])] == [*CORNERS, LOWEST]
    assert {row.python for row in chosen([])} == {"3.11", "3.12", "3.13"}
    assert [row.airflow for row in chosen([])] == ["3.1", "3.1", "3.2", "3.3", "3.3", "3.1"]


def test_all_are_nine_and_the_lowest() -> None:
    assert len({row.name for row in chosen([], everything=True)}) == 10


def test_a_row_is_named_by_airflow_and_python_and_gets_the_newest_patch() -> None:
    (row,) = chosen(["3.3-3.13"])
    assert (row.python, row.options) == ("3.13", ("apache-airflow~=3.3.0",))


def test_the_lowest_airflow_is_the_one_that_the_package_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"apache-airflow>={LOWEST_AIRFLOW}" in project["dependencies"]


def test_each_word_that_uv_is_told_is_one() -> None:
    (row,) = chosen([LOWEST])
    assert row.options[:2] == (f"apache-airflow=={LOWEST_AIRFLOW}", LOWEST_WITH)
    assert all(len(word) > 2 for one in chosen([], everything=True) for word in one.options)


def test_a_row_that_is_none_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"no row 2\.9-3\.11; there are: 3\.1-3\.11, "):
        chosen(["2.9-3.11"])


def test_what_is_left_out_is_there() -> None:
    assert [path for path in LEFT_OUT if not (ROOT / path).exists()] == []


def test_a_row_that_cannot_go_on_ends_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(matrix, "HOME", tmp_path)
    monkeypatch.setattr(matrix, "UV", tmp_path / "no-uv")
    result = matrix.run(chosen(["3.3-3.13"])[0])
    assert "no-uv" in result.failures[0]
    assert result.job == "not run"


def test_passed_skipped_and_failed_are_counted(tmp_path: Path) -> None:
    tests = "import pytest\n@pytest.mark.parametrize('n', range(3))\ndef test_it(n): assert n\n"
    (tmp_path / "test_three.py").write_text(tests + "def test_other(): pytest.skip('no store')\n")
    report = tmp_path / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    subprocess.run([*command, str(tmp_path)], check=False, capture_output=True, cwd=tmp_path)
    assert counted(report) == "2 passed, 1 skipped, 1 failed"


def test_a_line_of_the_table_says_what_was_got() -> None:
    lowest, row = Result(chosen([LOWEST])[0]), Result(chosen(["3.3-3.13"])[0], airflow="3.3.2", seconds=61.5)
    assert lowest.line == "| 3.1, lowest versions | 3.11 | not run | not run | 0 s |"
    assert row.line == "| 3.3.2 | 3.13 | not run | not run | 62 s |"
