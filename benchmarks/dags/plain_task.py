"""What a user writes without this provider for more tenants than Airflow can map: one task with a loop.

Needs the connections ``warehouse``, with the table ``tenants``, and ``databrain_default``, whose password is the API
key. A second run sends every create again: this Dag keeps no record of what exists.
"""

from __future__ import annotations

from airflow.sdk import BaseHook, dag, task

from benchmarks.common import CREATE_PATH, body


@dag(schedule=None, catchup=False)
def plain_task() -> None:
    """Send one request after the other, all in one task."""

    @task
    def create() -> dict[str, str]:
        """Create a dashboard for each row of the tenant table; returns ``{tenant: id}``."""
        import requests

        connection = BaseHook.get_connection("databrain_default")
        rows = BaseHook.get_hook("warehouse").get_records("SELECT tenant_id, name FROM tenants ORDER BY tenant_id")
        ids = {}
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {connection.password}"
            for tenant, name in rows:
                response = session.post(f"{connection.host}{CREATE_PATH}", json=body(tenant, name), timeout=60)
                response.raise_for_status()
                ids[tenant] = response.json()["id"]
        return ids

    create()


plain_task()
