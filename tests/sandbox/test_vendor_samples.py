"""The samples of the vendor's page run against the sandbox as real processes.

What is changed in them: the host; in the cURL samples also the path of the photo and, in step 2, the
id that step 1 was given, which are placeholders on the page; in the Node.js sample the line that
loads the package node-fetch, which nobody needs any more: fetch is part of Node.js since version 18.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_aluo.sandbox.shelf import PHOTOS

PAGE = (Path(__file__).parent / "vendor_samples" / "photo_editor.txt").read_text(encoding="utf-8")


def sample(begin: str, end: str, base: str) -> str:
    """The text between two headings of the page, with the sandbox's host."""
    (between,) = re.findall(rf"^{re.escape(begin)}\n(.*?)^{re.escape(end)}\n", PAGE, re.MULTILINE | re.DOTALL)
    assert "https://api.aluo.ai/" in between
    return str(between).replace("https://api.aluo.ai", base)


def output(*command: str) -> str:
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 0, told.stderr
    return told.stdout


@pytest.fixture
def base(customer: Any) -> str:
    customer.use("sk-your-api-key-here")
    return str(customer.sandbox.base_url)


def test_the_python_sample_sees_pictures_when_the_post_is_slow(base: str, customer: Any) -> None:
    customer.control("PUT", "settings", {"slow_post": True})
    told = output(sys.executable, "-c", sample("Python", "Editing Examples", base))
    assert re.fullmatch(rf"Edited images: \[{{'url': '{base}/pictures/edit_\d+-1-\w+\.png'}}\]\n", told)


def test_the_python_sample_says_nothing_when_the_edit_still_runs(base: str, customer: Any) -> None:
    customer.control("PUT", "settings", {"durations": 20_000})
    assert output(sys.executable, "-c", sample("Python", "Editing Examples", base)) == ""
    assert customer.ledger["totals"]["accepted"] == 1


def test_the_python_sample_says_that_an_edit_failed(base: str, customer: Any) -> None:
    customer.control("PUT", "settings", {"slow_post": True})
    customer.fault("edit_fails")
    assert output(sys.executable, "-c", sample("Python", "Editing Examples", base)) == "Editing failed\n"


def test_the_curl_sample_with_json_runs(base: str, customer: Any) -> None:
    customer.control("PUT", "settings", {"slow_post": True})
    create, query = sample("cURL (JSON Format)", "cURL (FormData Format)", base).split("# 步骤 2")
    created = json.loads(output("sh", "-c", create.replace("curl ", "curl -sS ")))
    assert created["data"]["prompt"] == "Change the product color to blue"
    assert created["data"]["inputImages"] == ["https://example.com/product.jpg"]
    query = query.replace("edit_123456789", created["data"]["taskId"]).replace("curl ", "curl -sS ")
    found = json.loads(output("sh", "-c", f"# {query}"))
    assert found["data"]["status"] == "SUCCESS"
    assert found["data"]["images"][0]["url"].startswith(f"{base}/pictures/")


def test_the_curl_sample_with_a_form_runs(base: str, customer: Any) -> None:
    script = sample("cURL (FormData Format)", "Node.js", base)
    script = script.replace("/path/to/product.jpg", str(PHOTOS / "coffee.jpg")).replace("curl ", "curl -sS ")
    created = json.loads(output("sh", "-c", script))
    assert created["data"]["aspectRatio"] == "1:1"
    assert customer.wait(created["data"]["taskId"])["status"] == "SUCCESS"
    assert customer.ledger["entries"][0]["inputs"][0]["name"] == "coffee.jpg"


def test_the_node_sample_runs(base: str, customer: Any) -> None:
    node = shutil.which("node")
    if node is None or output(node, "-p", "typeof fetch") != "function\n":
        pytest.skip("there is no Node.js with fetch (18 or newer): its sample is NOT tested here")
    customer.control("PUT", "settings", {"slow_post": True})
    script = sample("Node.js", "Python", base).replace("const fetch = require('node-fetch');", "")
    told = output(node, "--input-type=module", "-e", script)
    assert told.startswith("Edited images: [")
    assert f"{base}/pictures/edit_" in told
