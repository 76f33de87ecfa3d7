"""What a user without this provider writes: Airflow's HttpOperator, mapped over the tenants."""

from __future__ import annotations

import json

from airflow.providers.http.operators.http import HttpOperator
from airflow.sdk import BaseHook, dag, task

from airflow_provider_databrain.api.databrain import CreateDashboardEmbed, wire
from benchmarks.common import fields


@dag(schedule=None, catchup=False)
def http_operator() -> None:
    """One task for each tenant."""

    @task
    def bodies() -> list[str]:
        """A request body for each row of the tenant table."""
        engine = BaseHook.get_hook("warehouse").get_sqlalchemy_engine()
        with engine.connect() as connection:
            keys = connection.exec_driver_sql("SELECT tenant_id FROM tenants ORDER BY tenant_id").scalars().all()
        return [json.dumps(wire(CreateDashboardEmbed.model_validate(fields(key)))) for key in keys]

    HttpOperator.partial(
        task_id="create",
        http_conn_id="databrain_http",
        endpoint="/api/v2/data-app/dashboard-embeds",
        method="POST",
        headers={"Content-Type": "application/json", "Authorization": "Bearer {{ conn.databrain_http.password }}"},
    ).expand(data=bodies())


http_operator()
