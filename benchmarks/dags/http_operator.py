"""What a user writes without this provider: Airflow's HttpOperator, mapped over the tenants.

Needs the connections ``warehouse``, with the table ``tenants``, and ``databrain_http``, whose password is the API key.
A second run sends every create again: this Dag keeps no record of what exists.
"""

from __future__ import annotations

import json

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import BaseHook, dag, task

from benchmarks.common import CREATE_PATH, body


@dag(schedule=None, catchup=False)
def http_operator() -> None:
    """Send one request per tenant, each in a task of its own."""

    @task
    def bodies() -> list[str]:
        """Return one JSON request body per row of the tenant table."""
        rows = BaseHook.get_hook("warehouse").get_records("SELECT tenant_id, name FROM tenants ORDER BY tenant_id")
        return [json.dumps(body(tenant, name)) for tenant, name in rows]

    HttpOperator.partial(
        task_id="create",
        http_conn_id="databrain_http",
        endpoint=CREATE_PATH,
        method="POST",
        headers={"Content-Type": "application/json", "Authorization": "Bearer {{ conn.databrain_http.password }}"},
    ).expand(data=bodies())


http_operator()
