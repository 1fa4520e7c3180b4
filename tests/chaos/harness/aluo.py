"""The pretend Aluo, as the rows ask it."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import requests

#: Credits that an edit costs on the plan of every account here.
PRICE = 35
#: Seconds between two looks at a ledger.
LOOK_INTERVAL = 0.2


class Aluo:
    """The sandbox: ``url`` is the base URL of its API. Each thread has a session of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.root = url.removesuffix("/api")
        self._threads = threading.local()

    def control(self, method: str, path: str, json: Any = None, **more: Any) -> Any:
        """Ask the sandbox's own endpoints: ``control("POST", "faults", {...})``."""
        if not hasattr(self._threads, "session"):
            self._threads.session = requests.Session()
            self._threads.session.trust_env = False
        address = f"{self.root}/sandbox/{path}"
        answer = self._threads.session.request(method, address, json=json, timeout=30, **more)
        answer.raise_for_status()
        return answer.json()

    def account(self, key: str, balance: int = 1_000_000) -> None:
        """Open an account, or fill it."""
        self.control("PUT", f"accounts/{key}", {"plan": "pro", "balance": balance})

    def fault(self, **fault: Any) -> None:
        """Order a fault."""
        self.control("POST", "faults", fault)

    def ledger(self, prompt: str) -> "Ledger":
        """What became of the edits whose prompt holds this text."""
        return Ledger(self.control("GET", "ledger", params={"prompt": prompt}))

    def upload(self, photo: bytes) -> str:
        """Put a photo where the sandbox serves it; its address."""
        address: str = self.control("POST", "uploads", data=photo)["url"]
        return address

    def wait_for_post(self, prompt: str, seconds: float, posts: int = 1) -> None:
        """Wait until so many POSTs about this prompt have arrived."""
        self._wait(lambda ledger: ledger.posts >= posts, prompt, seconds, f"{posts} POSTs")

    def wait_for_looks(self, prompt: str, seconds: float, looks: int = 1) -> None:
        """Wait until somebody has looked so often at the edits of this prompt."""
        self._wait(lambda ledger: ledger.looks >= looks, prompt, seconds, f"{looks} looks")

    def wait_for_the_end(self, prompt: str, seconds: float) -> "Ledger":
        """Wait until all accepted edits of this prompt have ended, so that the charges are known."""
        return self._wait(lambda ledger: ledger.ended, prompt, seconds, "the edits' end")

    def _wait(self, is_so: Any, prompt: str, seconds: float, what: str) -> "Ledger":
        deadline = time.monotonic() + seconds
        while not is_so(ledger := self.ledger(prompt)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {seconds:.0f} s in vain for {what} of {prompt!r}")
            time.sleep(LOOK_INTERVAL)
        return ledger


class Ledger:
    """What was accepted, asked and charged for one prompt."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.entries: list[dict[str, Any]] = found["entries"]
        self.requests: list[dict[str, Any]] = found["requests"]
        self.totals: Mapping[str, Any] = found["totals"]
        self.raw = found

    @property
    def accepted(self) -> int:
        """Edits."""
        return len(self.entries)

    @property
    def charged(self) -> int:
        """Credits."""
        return sum(entry["charged"] for entry in self.entries)

    @property
    def posts(self) -> int:
        """Calls that asked for an edit, whatever became of them."""
        return sum(one["path"].endswith("/generate") for one in self.requests)

    @property
    def looks(self) -> int:
        """Calls that asked where an edit stands."""
        return sum(one["path"].endswith("/status") for one in self.requests)

    @property
    def ended(self) -> bool:
        """Whether no edit is under way."""
        return all(entry["finished_at"] for entry in self.entries)
