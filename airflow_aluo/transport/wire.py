"""What goes over the wire, and within which limits: the same for both drivers."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urljoin

from airflow_aluo import __version__
from airflow_aluo.protocol.envelope import Reply
from airflow_aluo.protocol.errors import (
    AluoAddressRefused,
    AluoConnectionError,
    AluoPictureError,
    AluoRequestInvalid,
    Problem,
)
from airflow_aluo.protocol.rendered import named

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from airflow_aluo.protocol.account import Account
    from airflow_aluo.protocol.calls import Call
    from airflow_aluo.transport.addresses import AddressRefused

#: A longer reply is cut here, and then is no JSON any more: Aluo's are a few hundred bytes.
MAX_REPLY_BYTES: Final = 1 << 20

#: Bytes that are read at a time.
CHUNK: Final = 1 << 16

#: Redirects that the address of a picture may take. The API is never followed.
MAX_REDIRECTS: Final = 3

#: Whatever else an address may begin with (``file``, ``ftp``) is not asked.
_WEB: Final = ("http://", "https://")

#: Shortest text that is taken for a key where it stands in a reply.
_KEY_LENGTH: Final = 12

#: What the errors of libraries quote and nobody should read: a proxy's password, a signed address.
_CREDENTIALS: Final = re.compile(r"//[^/@\s]+@")
#: To the next blank, but for what closes a quotation.
_QUERY: Final = re.compile(r"\?\S+?(?=['\")\]]*(?:\s|$))")


def plain(headers: Mapping[str, str]) -> dict[str, str]:
    """Return a reply's headers: names in lower case, values that can be logged and stored."""
    return {
        name.lower(): value if value.isascii() else _utf8(value)  # nearly always
        for name, value in headers.items()
    }


class BrokenOffError(OSError):
    """A reply ended before its end."""


class Writer:
    """Puts a reply's body where it belongs: into memory, or where a picture's call says."""

    def __init__(
        self, account: Account, call: Call[Any], http_status: int, headers: Mapping[str, str]
    ) -> None:
        # A key so short that an id may hold it by chance is none of Aluo's.
        self._key = account.api_key if call.with_key and len(account.api_key) >= _KEY_LENGTH else ""
        self._status, self._headers = http_status, headers
        self._sink = call.into(headers) if call.into and 200 <= http_status < 300 else None  # noqa: PLR2004
        self._body = bytearray()
        self._count = 0

    def write(self, chunk: bytes) -> bool:
        """Keep a chunk; return whether more is wanted."""
        self._count += len(chunk)
        if self._sink is not None:
            self._sink(chunk)
            return True
        self._body += chunk
        return len(self._body) < MAX_REPLY_BYTES

    def broken_off(self) -> BrokenOffError:
        """Return the error of a reply that goes no further, although it should."""
        length = self._headers.get("content-length", "")
        of = f" of {length}" if length.isdecimal() else ""
        return BrokenOffError(f"the reply broke off after {self._count}{of} bytes")

    def reply(self) -> Reply:
        """Return the whole reply; its body is empty where it went elsewhere.

        Errors quote replies, and a gateway may quote the key that it does not like: it is left out here.
        """
        body, headers = bytes(self._body[:MAX_REPLY_BYTES]), self._headers
        if self._key:
            body = body.replace(self._key.encode(), b"***")
            headers = {name: value.replace(self._key, "***") for name, value in headers.items()}
        return Reply(self._status, headers, body, time.time())


@dataclass(frozen=True, slots=True)
class Encoded:
    """A call as it goes over the wire."""

    method: str
    url: str
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    #: Redirects that led here.
    hops: int = 0


def encode(account: Account, call: Call[Any]) -> Encoded:
    """Return the call's bytes: the same for both drivers.

    :raises AluoAddressRefused: a picture's address is no web address.
    """
    headers = {
        "User-Agent": f"airflow-aluo/{__version__}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",  # replies are short, pictures are packed already
    }
    if call.with_key:
        headers["Authorization"] = f"Bearer {account.api_key}"
        headers["Accept"] = "application/json"
        url = endpoint(account.base_url, call.path)
    else:
        url = _quoted(call.path)
        if not url.startswith(_WEB):
            address = named(call.path)
            message = f"picture {address} cannot be fetched; expected: an address with http:// or https://"
            raise AluoAddressRefused(message, url=address)
    if call.params:
        url = f"{url}?{urlencode(call.params)}"
    body: bytes | None = None
    if call.files:
        from urllib3 import encode_multipart_formdata

        files = {
            name: (_utf8(file.name), file.content, file.content_type) for name, file in call.files.items()
        }
        form = {name: _utf8(text) for name, text in call.form.items()}
        body, headers["Content-Type"] = encode_multipart_formdata({**form, **files})
    elif call.json is not None:
        body, headers["Content-Type"] = json.dumps(call.json).encode(), "application/json"
    return Encoded(call.method, url, headers, body)


def redirected(call: Call[Any], request: Encoded, http_status: int, location: str | None) -> Encoded | None:
    """Return what to ask instead, where a picture's address sends us on; ``None`` where this is the answer.

    :raises AluoPictureError: it sends us on too often, or to what is no web address.
    """
    if call.with_key or http_status not in {301, 302, 303, 307, 308} or not location:
        return None
    url = location
    try:
        url = _quoted(urljoin(request.url, location))
        if request.hops < MAX_REDIRECTS and url.startswith(_WEB):
            return replace(request, url=url, hops=request.hops + 1)
    except ValueError:  # no address at all, such as http://[::1
        pass
    address = named(call.path)
    expected = f"to a web address, and at most {MAX_REDIRECTS} times"
    message = f"picture {address} sends us on to {named(url)!r}; expected: {expected}"
    raise AluoPictureError(message, url=address)


def not_fetched(call: Call[Any], refused: AddressRefused) -> AluoAddressRefused:
    """Return the error for a picture whose address leads, perhaps by redirects, where we may not ask."""
    address = named(call.path)
    message = f"picture {address} is not fetched, for it leads to {refused.why}; {refused.step}"
    return AluoAddressRefused(message, url=address)


@lru_cache
def endpoint(base_url: str, path: str) -> str:
    """Return the address of an endpoint. Spelling it costs as much as asking it, and there are two."""
    return _quoted(f"{base_url}{path}")


def _quoted(url: str) -> str:
    """Return an address as ``requests`` sends it: a name with an umlaut has one spelling on the wire."""
    from requests.models import PreparedRequest

    request = PreparedRequest()
    request.prepare_url(url, {})
    return str(request.url)


def _utf8(text: str) -> str:
    """Return text without halves of characters, which a file's name and a header may hold."""
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds: to connect, between two bytes, and for the whole exchange."""

    connect: float
    read: float
    total: float


def time_limits(account: Account, call: Call[Any]) -> TimeLimits:
    """Return a call's time limits. A picture may take long in all, a reply of Aluo's may not."""
    read = account.read_timeout if call.repeatable else account.submit_timeout
    total = account.connect_timeout + read
    return TimeLimits(account.connect_timeout, read, total if call.with_key else 10 * total)


def authorities(account: Account) -> bool | str:
    """Return whom to trust: a file of certificates, or ``False`` for everybody."""
    if account.verify is not True:
        return account.verify
    import certifi

    named = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"))
    return next(filter(None, named), certifi.where())


@cache
def ssl_context(trusted: bool | str) -> ssl.SSLContext | bool:
    """Return what aiohttp wants to know of :func:`authorities`; loading a file takes some 10 ms."""
    import ssl

    if not isinstance(trusted, str):
        return trusted
    if Path(trusted).is_dir():
        return ssl.create_default_context(capath=trusted)
    return ssl.create_default_context(cafile=trusted)


def proxies_for(account: Account, url: str) -> dict[str, str]:
    """Return the proxies by scheme: the connection's, else the environment's (with its ``NO_PROXY``)."""
    if account.proxy:
        return {"http": account.proxy, "https": account.proxy}
    from requests.utils import get_environ_proxies

    named: dict[str, str] = get_environ_proxies(url, no_proxy=None)
    proxies = {scheme: named.get(scheme) or named.get("all") for scheme in ("http", "https")}
    found = {
        scheme: proxy if "://" in proxy else f"http://{proxy}" for scheme, proxy in proxies.items() if proxy
    }
    problems = [
        Problem(f"{scheme}_proxy", "(hidden)", "an address such as http://proxy.example:3128")
        for scheme, proxy in found.items()
        if not proxy.lower().startswith(("http://", "https://"))  # aiohttp knows no SOCKS
    ]
    if problems:
        raise AluoRequestInvalid("the environment", problems)
    return found


def no_reply(
    account: Account, call: Call[Any], error: BaseException, outer: BaseException | None, *, sent: bool
) -> AluoConnectionError:
    """Return the error for a call that got no reply; it holds neither key nor proxy password.

    :param outer: what was being handled when the call began: the reason lies before it.
    """
    cause = error
    while (deeper := cause.__cause__ or cause.__context__) is not None and deeper is not outer:
        cause = deeper
    where = account.base_url if call.with_key else named(call.path)
    why = " ".join(f"{type(cause).__name__}: {cause}".split()).rstrip(": ").replace(call.path, where)
    message = f"no reply from {where} ({why})"
    if isinstance(cause, BrokenOffError):
        message = f"no whole reply from {where} ({cause})"
    if not sent:
        hint = "check the connection's host, proxy and the network"
        message = f"no connection to {where} ({why}): nothing was sent; {hint}"
    if account.api_key:
        message = message.replace(account.api_key, "***")
    message = _CREDENTIALS.sub("//***@", _QUERY.sub("?…", message))
    return AluoConnectionError(message, sent=sent)
