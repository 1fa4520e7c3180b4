"""The alerts of ``docs/alerts`` fire when they should, and the page tells of them and of each metric."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.servers.debian import install

DOCS = Path(__file__).parents[1] / "docs"
RULES = DOCS / "alerts" / "aluo.rules.yml"
PAGE = (DOCS / "operations.md").read_text("utf-8")


@pytest.fixture(scope="module")
def promtool() -> str:
    """Prometheus's tool; on a Debian, root gets one installed."""
    found = shutil.which("promtool") or (install("prometheus") and shutil.which("promtool"))
    if not found:
        reason = "NO PROMETHEUS, SO THE ALERTS ARE NOT TESTED: put its promtool on PATH"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return str(found)


def rules() -> list[Any]:
    (group,) = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    found: list[Any] = group["rules"]
    return found


def test_each_alert_fires_when_it_should_and_only_then(promtool: str) -> None:
    tests = RULES.with_name("aluo.rules.test.yml")
    ran = subprocess.run([promtool, "test", "rules", tests], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    cases = yaml.safe_load(tests.read_text("utf-8"))["tests"]
    checks = [check for case in cases for check in case["alert_rule_test"]]
    for fires in (True, False):
        seen = {check["alertname"] for check in checks if bool(check["exp_alerts"]) is fires}
        assert seen == {rule["alert"] for rule in rules()}


def test_an_alert_asks_for_metrics_that_there_are() -> None:
    asked = {name for rule in rules() for name in re.findall(r"airflow_\w+", rule["expr"])}
    sent = re.findall(r"^\| `(aluo\.[a-z_.]+)` \|", PAGE, re.MULTILINE)
    assert asked <= {f"airflow_{name.replace('.', '_')}" for name in sent}
    assert len(asked) > len(rules())


def test_the_page_tells_of_each_alert() -> None:
    told = re.findall(r"^\| `(Aluo\w+)` \|", PAGE, re.MULTILINE)
    assert told == [rule["alert"] for rule in rules()]


def test_the_page_tells_of_each_metric() -> None:
    code = (DOCS.parent / "airflow_aluo" / "metrics.py").read_text("utf-8")
    told = re.findall(r"^\| `(aluo\.[a-z_.]+)` \|", PAGE, re.MULTILINE)
    assert sorted(told) == sorted(set(re.findall(r'"(aluo\.[a-z_.]+)"', code)))
