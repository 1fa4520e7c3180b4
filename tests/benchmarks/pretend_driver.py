"""How this package asks a pretend Aluo: with its own conversations and pace, without a network."""

import json
import time
from typing import Any

from pretend_aluo import PretendAluo, Refused

from airflow_aluo.pace.account_pace import AccountPace
from airflow_aluo.protocol.account import Account
from airflow_aluo.protocol.calls import Call
from airflow_aluo.protocol.envelope import Reply
from airflow_aluo.protocol.photo_edit import PhotoEdit
from airflow_aluo.transport.turns import Turns
from airflow_aluo.transport.with_aiohttp import AiohttpDriver

BASE_URL, KEY, CONN_ID = "https://aluo.invalid/api", "sk-0123456789abcdef", "aluo_default"

EDIT = PhotoEdit(prompt="a blue background", image_urls=("https://aluo.invalid/photo.jpg",))


def account(limit: int) -> Account:
    return Account(base_url=BASE_URL, api_key=KEY, requests_per_minute=limit, credits_per_edit=35)


def new_turns(limit: int) -> Turns:
    """Return what all that one process asks has in common."""
    return Turns(AccountPace(limit, time.monotonic))


class PretendDriver(AiohttpDriver):
    """Carries calls to a :class:`PretendAluo` instead of the network."""

    def __init__(self, account: Account, turns: Turns, aluo: PretendAluo) -> None:
        super().__init__(account, turns)
        self._aluo = aluo

    async def exchange(self, call: Call[Any]) -> Reply:
        try:
            if not call.repeatable:
                return _reply(200, {"taskId": str(await self._aluo.generate())})
            if await self._aluo.status(int(call.params["taskId"])):
                return _reply(200, {"status": "SUCCESS", "images": [{"url": "https://aluo.ai/edit.png"}]})
            return _reply(200, {"status": "PROCESSING"})
        except Refused as refused:
            return _reply(429, None, {"retry-after": f"{refused.seconds:.0f}"})


def _reply(status: int, data: Any, headers: dict[str, str] | None = None) -> Reply:
    envelope = {"success": data is not None, "code": -1 if data is None else 0, "data": data}
    return Reply(status, headers or {}, json.dumps(envelope).encode(), time.time())
