"""Start where another DAG has published pictures: the asset's event says where they lie.

Runs after `aluo_nightly_catalogue`, once for what one or several nights have published. What reads the
pictures by their manifest never sees half a set. Unpause both; this one spends nothing.
"""

import json
from pathlib import PurePosixPath
from typing import Any

from airflow.sdk import DAG, Asset, ObjectStoragePath, task


@task
def pictures(triggering_asset_events: Any = None) -> list[str]:
    """Return the addresses of the new pictures; none if the run was triggered by hand."""
    found = []
    for event in [event for events in triggering_asset_events.values() for event in events]:
        manifest = ObjectStoragePath(event.extra["manifest"])
        listed = json.loads(manifest.read_text())["pictures"]
        found += [str(manifest.parent / picture["path"]) for picture in listed]
    return found


@task
def letter(addresses: list[str]) -> str:
    """Write the campaign: its place is here, where the next system would be told."""
    names = [PurePosixPath(address).stem for address in addresses]
    return f"New in the shop: {', '.join(names) or 'nothing'}"


with DAG(
    dag_id="aluo_campaign",
    doc_md=__doc__,
    schedule=[Asset("aluo_catalogue")],
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    tags=["aluo", "example"],
):
    letter(pictures())
