"""Who waits: this package, a bare session of aiohttp's, and other providers' triggers as users meet them.

Each makes coroutines that wait, one an edit: one for each of the moments (epoch seconds) at which to look
first, and then every ``interval`` seconds, until the server says that the edit is done.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

#: Makes waits: ``waits(first_looks_at, interval)``.
Waits = Callable[[Sequence[float], float], Iterable[Coroutine[Any, Any, None]]]


def connections(folder: Path, port: int) -> dict[str, str]:
    """Return the environment that holds everybody's Airflow connection to the server."""
    authority = str(folder / "authority.pem")
    # 1e8 requests a minute: the pace never holds a look back.
    extra = {"verify": authority, "requests_per_minute": 1e8}
    here = {"host": "127.0.0.1", "port": port, "password": "sk-0123456789abcdef"}
    told = {
        "bench_aluo": here | {"conn_type": "aluo", "host": f"https://127.0.0.1:{port}/api", "extra": extra},
        "bench_http": here | {"conn_type": "http", "schema": "https"},
        "bench_dbt": {"conn_type": "dbt_cloud", "host": f"127.0.0.1:{port}", "password": "a-token"},
    }
    found = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields) for name, fields in told.items()}
    # The others trust whom OpenSSL trusts.
    return found | {"SSL_CERT_FILE": authority, "BENCH_URL": f"https://127.0.0.1:{port}/api"}


async def fired(trigger_run: AsyncIterator[Any]) -> None:
    """Consume a trigger to its event, as the triggerer does."""
    async for event in trigger_run:
        assert "error" not in str(event.payload), event.payload


async def at(moment: float, trigger_run: AsyncIterator[Any]) -> None:
    await asyncio.sleep(max(moment - time.time(), 0.0))
    await fired(trigger_run)


def ours() -> Waits:
    from airflow_aluo.triggers.photo_edit import PhotoEditTrigger

    def waits(moments: Sequence[float], interval: float) -> Iterable[Coroutine[Any, Any, None]]:
        deadline = time.time() + 3600
        for number, moment in enumerate(moments):
            trigger = PhotoEditTrigger(
                aluo_task_id=f"edit-{number:08d}",
                aluo_conn_id="bench_aluo",
                deadline=deadline,
                first_look_at=moment,
                poll_interval=interval,
            )
            yield fired(trigger.run())

    return waits


def bare() -> Waits:
    import os

    import aiohttp

    url = f"{os.environ['BENCH_URL']}/photo-editor/status"
    sessions: list[aiohttp.ClientSession] = []

    async def wait(number: int, moment: float, interval: float) -> None:
        if not sessions:
            headers = {"Authorization": "Bearer sk-0123456789abcdef"}
            sessions.append(aiohttp.ClientSession(headers=headers))
        await asyncio.sleep(max(moment - time.time(), 0.0))
        while True:
            async with sessions[0].get(url, params={"taskId": f"edit-{number:08d}"}) as response:
                if (await response.json())["data"]["status"] == "SUCCESS":
                    return
            await asyncio.sleep(interval)

    return lambda moments, interval: (wait(number, moment, interval) for number, moment in enumerate(moments))


def http_provider() -> Waits:
    from airflow.providers.http.triggers.http import HttpSensorTrigger

    def waits(moments: Sequence[float], interval: float) -> Iterable[Coroutine[Any, Any, None]]:
        for number, moment in enumerate(moments):
            trigger = HttpSensorTrigger(
                endpoint=f"waiting/{number}", http_conn_id="bench_http", poke_interval=interval
            )
            yield at(moment, trigger.run())

    return waits


def dbt_cloud() -> Waits:
    from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger

    def waits(moments: Sequence[float], interval: float) -> Iterable[Coroutine[Any, Any, None]]:
        end_time = time.time() + 3600
        for number, moment in enumerate(moments):
            trigger = DbtCloudRunJobTrigger(
                conn_id="bench_dbt",
                run_id=number,
                end_time=end_time,
                poll_interval=interval,
                account_id=1,
            )
            yield at(moment, trigger.run())

    return waits


CONTENDERS: dict[str, Callable[[], Waits]] = {
    "ours": ours,
    "bare": bare,
    "http provider": http_provider,
    "dbt cloud": dbt_cloud,
}
