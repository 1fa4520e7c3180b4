"""Every part of Airflow imports the plugin: it costs nothing until somebody looks at the gallery."""

import asyncio
import json
import subprocess
import sys

from airflow.plugins_manager import AirflowPlugin

from airflow_aluo.gallery import MOUNT, TABS
from airflow_aluo.ui.plugin import AluoPlugin
from tests.contracts.test_imports import HEAVY

LOOK = """
import json, sys
from airflow.plugins_manager import AirflowPlugin

before = set(sys.modules)
import airflow_aluo.ui.plugin

print(json.dumps(sorted(set(sys.modules) - before)))
"""


def test_importing_the_plugin_loads_nothing_but_itself() -> None:
    done = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    ours = {name for name in loaded if name.startswith("airflow_aluo")}
    assert ours - {"airflow_aluo"} == {"airflow_aluo.gallery", "airflow_aluo.ui", "airflow_aluo.ui.plugin"}
    assert not {name.split(".")[0] for name in loaded} & HEAVY


def test_there_is_a_tab_at_each_place_and_all_addresses_are_relative() -> None:
    assert issubclass(AluoPlugin, AirflowPlugin)
    views = {view["destination"]: view for view in AluoPlugin.external_views}
    assert {destination: view["url_route"] for destination, view in views.items()} == TABS
    for view in views.values():
        assert view["href"].startswith(f"{MOUNT}/")
        assert view["icon"].startswith(f"{MOUNT}/")
    assert views["nav"]["category"] == "browse"


def test_airflow_tells_of_the_tabs_as_they_are(people: object) -> None:
    from airflow.api_fastapi.core_api.datamodels.plugins import ExternalViewResponse

    assert people is not None
    for view in AluoPlugin.external_views:
        assert ExternalViewResponse(**view).model_dump(exclude_none=True).items() >= view.items()


def test_the_application_is_made_once(airflow_database: None) -> None:
    assert airflow_database is None
    (mounted,) = AluoPlugin.fastapi_apps
    application = mounted["app"]
    statuses: list[int] = []

    async def ask() -> None:
        async def receive() -> dict[str, object]:
            return {"type": "http.request"}

        async def send(message: dict[str, object]) -> None:
            if isinstance(status := message.get("status"), int):
                statuses.append(status)

        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
        await application(scope, receive, send)

    asyncio.run(ask())
    made = application._application
    asyncio.run(ask())
    assert statuses == [401, 401]
    assert application._application is made
