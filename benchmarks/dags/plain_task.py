"""What a user without this provider writes for more tenants than Airflow maps: one task with a loop."""

from __future__ import annotations

from airflow.sdk import BaseHook, dag, task

from benchmarks.common import CREATE_PATH, body


@dag(schedule=None, catchup=False)
def plain_task() -> None:
    """One request after the other."""

    @task
    def create() -> dict[str, str]:
        """A dashboard for each row of the tenant table; returns their ids."""
        import requests

        connection = BaseHook.get_connection("databrain_default")
        found = BaseHook.get_hook("warehouse").get_records("SELECT tenant_id, name FROM tenants ORDER BY tenant_id")
        ids = {}
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {connection.password}"
            for tenant, name in found:
                answer = session.post(f"{connection.host}{CREATE_PATH}", json=body(tenant, name), timeout=60)
                answer.raise_for_status()
                ids[tenant] = answer.json()["id"]
        return ids

    create()


plain_task()
