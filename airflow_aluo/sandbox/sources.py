"""Where the photos of an edit come from. Nothing here ever connects beyond this machine."""

import http.client
import ipaddress
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from airflow_aluo.sandbox.shelf import PHOTOS

log = logging.getLogger(__name__)

#: Seconds without a byte after which a server on this machine is given up.
TIMEOUT: Final = 5.0
#: Bytes that a photo may have. The vendor names no limit; a sandbox needs one.
MOST_BYTES: Final = 20 * 1024 * 1024


class NotFetched(Exception):  # noqa: N818 - it is what an edit fails with
    """A photo on this machine could not be had; the text says why."""


def is_loopback(host: str) -> bool:
    """Whether a host's name or number surely means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def stand_in(address: str) -> Path:
    """Return the photo that is edited for an address somewhere else."""
    return PHOTOS / ("rocket.jpg" if "rocket" in address.lower() else "coffee.jpg")


def fetch(address: str, own_port: int, own: Callable[[str], Path | None]) -> bytes:
    """Return the photo at an address.

    What the sandbox serves itself (``own_port``; ``own`` finds the file behind a path) is read
    from its folder; from other servers on this machine it is fetched; for anything else there is a
    stand-in and a line in the log.

    :raises NotFetched: the address is on this machine but gives no photo.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    if not is_loopback(host):
        photo = stand_in(address)
        log.info("%s is not on this machine: edits the stand-in %s", without_query(parts), photo.name)
        return photo.read_bytes()
    if parts.scheme != "http":
        raise NotFetched(f"{without_query(parts)}: on this machine the sandbox speaks http only")
    if parts.port == own_port:
        path = own(unquote(parts.path))
        if path is None:
            raise NotFetched(f"{without_query(parts)} is nothing that the sandbox serves")
        return path.read_bytes()
    return _from_this_machine(host, parts)


def without_query(parts: SplitResult) -> str:
    """Return an address as it may be logged: a query can hold a signature, the rest a password."""
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


def _from_this_machine(host: str, parts: SplitResult) -> bytes:
    """Return the body of a GET: no proxy, no redirect, no name looked up."""
    literal = "127.0.0.1" if host == "localhost" else host
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = http.client.HTTPConnection(literal, parts.port or 80, timeout=TIMEOUT)
    try:
        connection.request("GET", target, headers={"Host": parts.netloc.rpartition("@")[2]})
        reply = connection.getresponse()
        data = reply.read(MOST_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotFetched(f"{without_query(parts)} cannot be fetched: {error}") from error
    finally:
        connection.close()
    if reply.status != http.client.OK:
        raise NotFetched(f"{without_query(parts)} answers HTTP {reply.status}")
    if len(data) > MOST_BYTES:
        raise NotFetched(f"{without_query(parts)} is larger than {MOST_BYTES // 1024**2} MB")
    return data
