"""A sandbox, somebody who talks to it, and photos."""

import io
import socket
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from PIL import Image, ImageDraw

from airflow_aluo.sandbox.server import Running, running
from airflow_aluo.sandbox.shelf import PHOTOS

KEYS = (f"sk-test-{number}" for number in count())


class Customer:
    """Talks to a sandbox as a client would, with the words of the vendor's page."""

    def __init__(self, sandbox: Running) -> None:
        self.sandbox = sandbox
        self.use(next(KEYS))

    def use(self, key: str) -> None:
        self.key = key
        self.headers = {"Authorization": f"Bearer {key}"}

    def post(self, body: Any = None, **kwargs: Any) -> requests.Response:
        url = f"{self.sandbox.api_url}/photo-editor/generate"
        if body is not None:
            kwargs["json"] = body
        return requests.post(url, timeout=20, allow_redirects=False, **{"headers": self.headers} | kwargs)

    def submit(self, prompt: str = "Make it nice", **more: Any) -> str:
        body = {"prompt": prompt, "imageUrls": [f"{self.sandbox.base_url}/photos/coffee.jpg"], **more}
        reply = self.post(body)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["data"]["taskId"])

    def look(self, aluo_task_id: str, timeout: float = 20) -> requests.Response:
        url = f"{self.sandbox.api_url}/photo-editor/status"
        params = {"taskId": aluo_task_id}
        return requests.get(url, params=params, headers=self.headers, timeout=timeout, allow_redirects=False)

    def wait(self, aluo_task_id: str, seconds: float = 20) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            data: dict[str, Any] = self.look(aluo_task_id).json()["data"]
            if data["status"] in {"SUCCESS", "FAILED"}:
                return data
            time.sleep(0.02)
        raise AssertionError(f"{aluo_task_id} does not end")

    def edited(self, prompt: str = "Make it nice", **more: Any) -> list[str]:
        return [image["url"] for image in self.wait(self.submit(prompt, **more))["images"]]

    def control(self, method: str, path: str, body: Any = None) -> Any:
        reply = requests.request(method, f"{self.sandbox.control_url}/{path}", json=body, timeout=20)
        reply.raise_for_status()
        return reply.json()

    def fault(self, kind: str, **more: Any) -> None:
        self.control("POST", "faults", {"kind": kind, **more})

    @property
    def ledger(self) -> Any:
        return self.control("GET", "ledger")

    def ledger_about(self, text: str) -> Any:
        return self.control("GET", f"ledger?{urlencode({'prompt': text})}")

    def connect(self) -> socket.socket:
        """A bare connection, for those who look at how a reply breaks off."""
        parts = urlsplit(self.sandbox.base_url)
        return socket.create_connection((str(parts.hostname), parts.port or 80), timeout=20)

    def head(self, length: int) -> bytes:
        """The head of a POST whose body has so many bytes."""
        return (
            f"POST /api/photo-editor/generate HTTP/1.1\r\nHost: sandbox\r\n"
            f"Authorization: Bearer {self.key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {length}\r\n\r\n"
        ).encode()


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Running]:
    with running(speed=1000, seed=1) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: Running) -> Iterator[Running]:
    """The one sandbox, as good as new."""
    control = shared_sandbox.control_url
    before = requests.get(f"{control}/settings", timeout=20).json()
    requests.delete(f"{control}/ledger", timeout=20)
    yield shared_sandbox
    requests.delete(f"{control}/faults", timeout=20)
    requests.post(f"{control}/release", timeout=20)
    requests.put(f"{control}/settings", json=before, timeout=20)


@pytest.fixture
def customer(sandbox: Running) -> Customer:
    return Customer(sandbox)


@pytest.fixture
def other_customer(sandbox: Running) -> Customer:
    return Customer(sandbox)


def as_file(photo: Image.Image, file_format: str = "PNG") -> bytes:
    file = io.BytesIO()
    photo.save(file, file_format)
    return file.getvalue()


@pytest.fixture(scope="session")
def product() -> Image.Image:
    """A red thing on a grey wall, left of and above the middle."""
    photo = Image.new("RGB", (480, 320), (226, 226, 220))
    ImageDraw.Draw(photo).rectangle((90, 60, 230, 200), fill=(200, 40, 30))
    return photo


@pytest.fixture(scope="session")
def product_file(product: Image.Image) -> bytes:
    return as_file(product)


@pytest.fixture(scope="session", params=["rocket.jpg", "coffee.jpg"])
def photo_path(request: pytest.FixtureRequest) -> Path:
    return PHOTOS / str(request.param)


@pytest.fixture(scope="session")
def photo(photo_path: Path) -> Image.Image:
    with Image.open(photo_path) as opened:
        return opened.convert("RGB")
