"""What a user without this provider writes: Airflow's HttpOperator, mapped over the tenants."""

from __future__ import annotations

import json

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import BaseHook, dag, task

from benchmarks.common import CREATE_PATH, body


@dag(schedule=None, catchup=False)
def http_operator() -> None:
    """One task for each tenant."""

    @task
    def bodies() -> list[str]:
        """A request body for each row of the tenant table."""
        found = BaseHook.get_hook("warehouse").get_records("SELECT tenant_id, name FROM tenants ORDER BY tenant_id")
        return [json.dumps(body(tenant, name)) for tenant, name in found]

    HttpOperator.partial(
        task_id="create",
        http_conn_id="databrain_http",
        endpoint=CREATE_PATH,
        method="POST",
        headers={"Content-Type": "application/json", "Authorization": "Bearer {{ conn.databrain_http.password }}"},
    ).expand(data=bodies())


http_operator()
