"""A preview of a Databrain set-up, such as for a branch: made from nothing, released as the real one, or ended.

Three Dags that are triggered by hand. Needs the connection ``databrain_default`` with the service token, and
``warehouse_for_databrain``: the PostgreSQL database as Databrain is to open it. All three may be run again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag

from airflow_provider_databrain.databrain.operators.data_apps import (
    CreateDataAppOperator,
    DeleteDataAppOperator,
    RenameDataAppOperator,
)
from airflow_provider_databrain.databrain.operators.datamarts import (
    CreateDatamartOperator,
    DeleteDatamartOperator,
    UpdateDatamartOperator,
)
from airflow_provider_databrain.databrain.operators.datasources import (
    CreateDatasourceOperator,
    DeleteDatasourceOperator,
    UpdateDatasourceOperator,
)
from airflow_provider_databrain.databrain.operators.semantic_layers import (
    DeleteSemanticLayerOperator,
    SetSemanticLayerOperator,
)
from airflow_provider_databrain.databrain.operators.tokens import CreateApiTokenOperator
from airflow_provider_databrain.databrain.operators.workspaces import (
    CreateWorkspaceOperator,
    DeleteWorkspaceOperator,
    UpdateWorkspaceOperator,
)

NAME = "preview-{{ params.branch }}"
TABLES = [
    {
        "name": "orders",
        "client_column": "customer_id",
        "columns": [{"name": "customer_id", "is_hide": True}, {"name": "amount"}, {"name": "ordered_at"}],
    }
]
MEANING = [{"name": "orders", "description": "What was bought, a row an order.", "synonyms": ["sales"]}]
SETTINGS: dict[str, Any] = {
    "schedule": None,
    "catchup": False,
    "tags": ["databrain"],
    "params": {"branch": Param("main", type="string", pattern="^[a-z0-9-]+$")},
    "default_args": {"retries": 2, "retry_delay": 30},
}


def keep_key(key: str) -> None:
    """Put the new key where only Airflow reads it; stands for a call of your secrets backend."""
    path = Path(os.environ["DATABRAIN_PREVIEW_KEY_FILE"])
    path.touch(mode=0o600)
    path.write_text(json.dumps({"databrain_preview": {"conn_type": "databrain", "password": key}}))


@dag(**SETTINGS)
def databrain_preview() -> None:
    """Make all of it exist, and as this file says."""
    source = CreateDatasourceOperator(
        task_id="datasource",
        name=NAME,
        datasource_type="postgres",
        source_conn_id="warehouse_for_databrain",
        fields={"schema": "{{ params.branch }}"},
    )
    mart = CreateDatamartOperator(task_id="datamart", name=NAME, datasource_name=source.output, table_list=TABLES)
    tables = UpdateDatamartOperator(task_id="tables", name=mart.output, table_list=TABLES)
    layer = SetSemanticLayerOperator(task_id="semantic_layer", name=mart.output, tables=MEANING)
    workspace = CreateWorkspaceOperator(
        task_id="workspace", name=NAME, connection_type="DATAMART", datamart_name=mart.output
    )
    app = CreateDataAppOperator(task_id="data_app", name=NAME)
    token = CreateApiTokenOperator(task_id="api_token", name="airflow", data_app_name=app.output, store=keep_key)
    tables >> layer >> workspace
    app >> token


@dag(**SETTINGS)
def release_databrain_preview() -> None:
    """The preview becomes the real one: its workspace reads all datasources, its data app gets the real name."""
    source = UpdateDatasourceOperator(
        task_id="datasource",
        name=NAME,
        datasource_type="postgres",
        source_conn_id="warehouse_for_databrain",
        fields={"schema": "public"},
    )
    workspace = UpdateWorkspaceOperator(task_id="workspace", name=NAME, connection_type="MULTI_DATASOURCE")
    app = RenameDataAppOperator(task_id="data_app", name=NAME, new_name="customer-portal")
    source >> workspace >> app


@dag(**SETTINGS)
def end_databrain_preview() -> None:
    """Delete all of it, what reads from something before that."""
    app = DeleteDataAppOperator(task_id="data_app", name=NAME)
    workspace = DeleteWorkspaceOperator(task_id="workspace", name=NAME)
    layer = DeleteSemanticLayerOperator(task_id="semantic_layer", name=NAME)
    mart = DeleteDatamartOperator(task_id="datamart", name=NAME)
    source = DeleteDatasourceOperator(task_id="datasource", name=NAME)
    [app, workspace] >> layer >> mart >> source


databrain_preview()
release_databrain_preview()
end_databrain_preview()
