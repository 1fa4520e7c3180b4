"""An account at Aluo and how to reach it: a connection's fields, read and checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit, urlunsplit

from airflow_aluo.protocol.errors import AluoRequestInvalid, Problem
from airflow_aluo.protocol.rendered import shown
from airflow_aluo.protocol.vocabulary import API_KEY_PREFIX, DEFAULT_BASE_URL, PLANS, TIERS, Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Time limits where the connection names none, in seconds. The vendor's POST may hold for an edit's time.
CONNECT_TIMEOUT: Final = 10.0
READ_TIMEOUT: Final = 30.0
SUBMIT_TIMEOUT: Final = 180.0

#: The keys that a connection's extra may hold.
EXTRAS: Final = (
    "plan",
    "requests_per_minute",
    "credits_per_edit",
    "connect_timeout",
    "read_timeout",
    "submit_timeout",
    "verify",
    "proxy",
    "allow_private_hosts",
)

_LOOPBACK: Final = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Where to send requests, with which key, and what the account allows."""

    base_url: str
    api_key: str = field(repr=False)
    plan: Plan = "free"
    #: Requests that the account may send in a minute.
    requests_per_minute: float
    #: Credits that one edit is expected to cost.
    credits_per_edit: float
    #: Seconds to establish a connection.
    connect_timeout: float = CONNECT_TIMEOUT
    #: Seconds between two bytes of a reply.
    read_timeout: float = READ_TIMEOUT
    #: Seconds that a submit may take: the vendor's POST may hold until the edit is done.
    submit_timeout: float = SUBMIT_TIMEOUT
    #: Check certificates: with the usual authorities, or with those in the named file.
    verify: bool | str = True
    proxy: str | None = field(default=None, repr=False)
    #: Hosts in private networks from which pictures may be fetched: names, addresses, ranges of addresses.
    allow_private_hosts: tuple[str, ...] = ()
    #: The Airflow connection that names it, ``None`` where none is used.
    conn_id: str | None = None
    #: What a person should look at, although it works.
    warnings: tuple[str, ...] = ()


#: For addresses that need no key.
ANONYMOUS: Final = Account(
    base_url=DEFAULT_BASE_URL, api_key="", requests_per_minute=1.0, credits_per_edit=0.0
)


def read(
    aluo_conn_id: str,
    *,
    host: str | None,
    port: int | None,
    password: str | None,
    extra: Mapping[str, Any],
) -> Account:
    """Return the account that an Airflow connection names.

    :param host: base URL with its path; empty for the vendor's.
    :param port: tolerated where it repeats the URL's or scheme's.
    :param extra: any of :data:`EXTRAS`, numbers and booleans also as text.
    :raises AluoRequestInvalid: with everything that is wrong.
    """
    reader = _Extra(extra)
    base_url = _base_url(host, port, reader.problems)
    plan = cast("Plan", reader.choice("plan", "free", PLANS))
    tier = TIERS[plan]
    account = Account(
        base_url=base_url,
        api_key=(password or "").strip(),
        plan=plan,
        requests_per_minute=reader.number("requests_per_minute", tier.requests_per_minute),
        credits_per_edit=reader.number("credits_per_edit", tier.credits_per_edit),
        connect_timeout=reader.number("connect_timeout", CONNECT_TIMEOUT),
        read_timeout=reader.number("read_timeout", READ_TIMEOUT),
        submit_timeout=reader.number("submit_timeout", SUBMIT_TIMEOUT),
        verify=reader.verify(),
        proxy=reader.proxy(),
        allow_private_hosts=reader.hosts("allow_private_hosts"),
        conn_id=aluo_conn_id,
        warnings=tuple(_warnings(aluo_conn_id, base_url, (password or "").strip())),
    )
    problems = [*_key_problems(account.api_key), *reader.problems]
    if problems:
        raise AluoRequestInvalid(f"connection {aluo_conn_id!r}", problems)
    return account


def _key_problems(api_key: str) -> list[Problem]:
    if not api_key:
        return [Problem("password", "empty", f"the Aluo API key ({API_KEY_PREFIX}...)")]
    if not (api_key.isascii() and api_key.isprintable()) or " " in api_key:
        expected = f"the Aluo API key ({API_KEY_PREFIX}...): visible ASCII characters, no blanks"
        return [Problem("password", "(hidden)", expected)]
    return []


def _warnings(aluo_conn_id: str, base_url: str, api_key: str) -> list[str]:
    found = []
    if not api_key.startswith(API_KEY_PREFIX):
        found.append(
            f"the password of connection {aluo_conn_id!r} does not begin with {API_KEY_PREFIX!r} as Aluo's "
            "keys do; is it the right one?"
        )
    url = urlsplit(base_url)
    if url.scheme == "http" and not _LOOPBACK.fullmatch(url.hostname or ""):
        found.append(f"connection {aluo_conn_id!r} sends its API key unencrypted to {base_url}; use https://")
    return found


def _base_url(host: str | None, port: int | None, problems: list[Problem]) -> str:
    """Return the base URL without a slash at its end."""
    text = (host or "").strip() or DEFAULT_BASE_URL
    problem = Problem("host", shown(text.rpartition("@")[2]), f"an address such as {DEFAULT_BASE_URL}")
    try:
        url = urlsplit(text if "://" in text else f"https://{text}")
        own_port = url.port
    except ValueError:
        problems.append(problem)
        return DEFAULT_BASE_URL
    strange = "@" in url.netloc or url.query or url.fragment or url.scheme not in {"http", "https"}
    if strange or not url.hostname or own_port == 0 or " " in text or not text.isprintable():
        problems.append(problem)
        return DEFAULT_BASE_URL
    netloc = url.netloc.removesuffix(":")
    if port and own_port is None and port != {"http": 80, "https": 443}[url.scheme]:
        netloc = f"{netloc}:{port}"
    if port and own_port is not None and port != own_port:
        expected = f"the port that the host names ({own_port}), or none"
        problems.append(Problem("port", str(port), expected))
    elif port and not 0 < port <= 65535:  # noqa: PLR2004  # TCP's
        problems.append(Problem("port", str(port), "a port from 1 to 65535, or none"))
    return urlunsplit((url.scheme, netloc, url.path.rstrip("/"), "", ""))


def _is_network(text: str) -> bool:
    try:
        ip_network(text.strip(), strict=False)
    except ValueError:
        return False
    return True


class _Extra:
    """Reads a connection's extra by named keys, and gathers what is wrong with it."""

    def __init__(self, extra: Mapping[str, Any]) -> None:
        # The connection form saves what was left empty as null or as an empty text.
        self._extra = {name: value for name, value in extra.items() if value not in (None, "")}
        expected = f"one of {', '.join(EXTRAS)}"
        self.problems = [
            Problem(f"extra {name!r}", "not known", expected) for name in extra if name not in EXTRAS
        ]

    def _refuse(self, name: str, expected: str) -> None:
        value = "(hidden)" if name == "proxy" else shown(self._extra[name])
        self.problems.append(Problem(f"extra {name!r}", value, expected))

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        value = self._extra.get(name, default)
        if value not in allowed:
            self._refuse(name, f"one of {', '.join(allowed)}")
            return default
        return str(value)

    def number(self, name: str, default: float) -> float:
        value = self._extra.get(name, default)
        try:
            number = float(value) if not isinstance(value, bool) else 0.0
        except (TypeError, ValueError, OverflowError):
            number = 0.0
        if not 0 < number < 1e9:  # noqa: PLR2004  # beyond it lies infinity
            self._refuse(name, "a number above 0")
            return default
        return number

    def verify(self) -> bool | str:
        value = self._extra.get("verify", True)
        if isinstance(value, bool):
            return value
        if not isinstance(value, str):
            self._refuse("verify", "true, false, or the path of a file with certificates")
            return True
        return {"true": True, "false": False}.get(value.lower(), value)

    def proxy(self) -> str | None:
        value = self._extra.get("proxy")
        if value is not None and not (isinstance(value, str) and re.fullmatch(r"https?://[^\s/]\S*", value)):
            self._refuse("proxy", "an address such as http://proxy.example:3128")
            return None
        return value

    def hosts(self, name: str) -> tuple[str, ...]:
        value = self._extra.get(name, [])
        names = value.replace(",", " ").split() if isinstance(value, str) else value
        if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
            self._refuse(name, "host names, as a list or separated by commas")
            return ()
        for item in names:
            if "/" in item and not _is_network(item):
                expected = "a host's name, an address, or a range of addresses such as 10.0.0.0/8"
                self.problems.append(Problem(f"extra {name!r}", shown(item), expected))
        return tuple(names)
