"""Where pictures lie, and the addresses under which they are served."""

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Final

#: What the files' names end on says what they are served as.
MEDIA_TYPES: Final = {
    ".png": "image/png",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
}

#: The pictures that come with the sandbox.
PHOTOS: Final = Path(__file__).parent / "photos"


def media_type(path: Path) -> str:
    """Return the Content-Type of a file."""
    return MEDIA_TYPES.get(path.suffix, "application/octet-stream")


class Shelf:
    """Files by name. Only what was put here can be had back, whatever name is asked for.

    ``token``: gives a text that nobody guesses, so that an address is as good as a secret.
    """

    def __init__(self, folder: Path, token: Callable[[], str]) -> None:
        self._folder = folder
        self._token = token
        self._secret = token().encode()
        self._names: set[str] = set()

    def put(self, stem: str, suffix: str, data: bytes) -> str:
        """Keep a file; its name."""
        name = f"{stem}-{self._token()}{suffix}"
        (self._folder / name).write_bytes(data)
        self._names.add(name)
        return name

    def find(self, name: str) -> Path | None:
        """Where the file of that name lies, if there is one."""
        return self._folder / name if name in self._names else None

    def signed(self, name: str, expires: float) -> str:
        """Return the query of an address that works until then (epoch seconds)."""
        moment = f"{expires:.3f}"
        return f"?expires={moment}&signature={self._signature(name, moment)}"

    def works(self, name: str, expires: str, signature: str, now: float) -> bool:
        """Whether an address with this query still works."""
        if not hmac.compare_digest(signature.encode(), self._signature(name, expires).encode()):
            return False
        return now < float(expires)

    def _signature(self, name: str, moment: str) -> str:
        return hmac.new(self._secret, f"{name} {moment}".encode(), hashlib.sha256).hexdigest()[:32]
