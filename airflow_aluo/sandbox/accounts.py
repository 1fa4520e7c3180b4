"""Keys, and the account behind each: plan, credits, how fast it may ask."""

import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from airflow_aluo.protocol.vocabulary import API_KEY_PREFIX, TIERS, Plan

#: What a fresh account has, so that demos and tests do not run dry or into a limit by accident.
FRESH_PLAN: Final[Plan] = "pro"
FRESH_BALANCE: Final = 10_000


def digest(key: str) -> str:
    """Twelve characters that stand for a key wherever people look; the key cannot be had back."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


@dataclass(slots=True, kw_only=True)
class Account:
    """One customer. ``balance`` and ``reserved`` are credits, ``calls`` epoch seconds.

    ``name``: the digest of the account's first key; it stays when the key is changed for another.
    """

    name: str
    plan: Plan
    balance: int
    #: What the account's unfinished edits will cost if they succeed.
    reserved: int = 0
    calls: deque[float] = field(default_factory=deque)

    @property
    def price(self) -> int:
        """Credits that one edit costs."""
        return TIERS[self.plan].credits_per_edit

    def can_pay(self) -> bool:
        """Whether one more edit could be paid for after all that are under way."""
        return self.balance - self.reserved >= self.price

    def call(self, now: float, window: float) -> float:
        """Count a call, or say how many seconds are left until one is allowed (0.0: counted).

        The plan's number of calls may fall into any ``window`` seconds. A call that was turned
        away does not count. The vendor documents the numbers only; the rest is this sandbox's.
        """
        while self.calls and self.calls[0] <= now - window:
            self.calls.popleft()
        if len(self.calls) < TIERS[self.plan].requests_per_minute:
            self.calls.append(now)
            return 0.0
        return self.calls[0] + window - now


class Accounts:
    """All customers. Unless ``strict``, a key nobody has seen opens a fresh account.

    A key begins with ``sk-``. Source: https://aluo.ai/docs/api/authentication (read 2026-11-22).
    """

    def __init__(
        self, *, strict: bool = False, plan: Plan = FRESH_PLAN, balance: int = FRESH_BALANCE
    ) -> None:
        self.strict = strict
        self.plan: Plan = plan
        self.balance = balance
        #: By the digest of the key that opens them, as ``_deleted``.
        self._opened: dict[str, Account] = {}
        self._deleted: set[str] = set()

    def find(self, key: str) -> Account | None:
        """Return the account behind a key, or None if the key opens nothing."""
        name = digest(key)
        if name in self._deleted or not key.startswith(API_KEY_PREFIX):
            return None
        if name not in self._opened and not self.strict:
            self.put(key)
        return self._opened.get(name)

    def knows(self, key: str) -> bool:
        """Whether there is an account that the key opens already."""
        name = digest(key)
        return name in self._opened and name not in self._deleted

    def put(self, key: str, *, plan: Plan | None = None, balance: int | None = None) -> Account:
        """Open or change the account behind a key; what is not given stays as it is."""
        name = digest(key)
        self._deleted.discard(name)
        account = self._opened.get(name)
        if account is None:
            account = Account(name=name, plan=self.plan, balance=self.balance)
            self._opened[name] = account
        account.plan = plan or account.plan
        account.balance = account.balance if balance is None else balance
        return account

    def delete(self, key: str) -> None:
        """Make a key worthless at once, as deleting it at the vendor's does."""
        self._deleted.add(digest(key))

    def rotate(self, key: str, new_key: str) -> Account:
        """Let a new key open the account of another, which is worthless at once; the account.

        Plan, credits and edits are the account's: a key inherits them.
        Source: https://aluo.ai/docs/api/authentication (read 2026-11-22).

        :raises KeyError: the key opens no account; ``knows`` tells.
        """
        account = self._opened.pop(digest(key))
        self._opened[digest(new_key)] = account
        self._deleted.add(digest(key))
        self._deleted.discard(digest(new_key))
        return account
