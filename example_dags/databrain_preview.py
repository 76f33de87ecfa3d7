"""Create a preview of a Databrain set-up, for example for a branch; then release it, or delete it.

Trigger each Dag by hand, with the branch as its param. Datasource, datamart, workspace and data app are all called
``preview-<branch>``.

- ``databrain_preview`` creates a datasource, a datamart with its tables and semantic layer, a workspace, and a data
  app with an API token. ``keep_key`` stores the token's key.
- ``release_databrain_preview`` makes the preview the real set-up: the datasource reads the schema ``public``, the
  workspace reads all datasources, and the data app is renamed ``customer-portal``.
- ``end_databrain_preview`` deletes everything that ``databrain_preview`` creates. Do not run it after a release: the
  released workspace and datasource still have the preview's name, and it deletes them.

Needs:

- The connection ``databrain_default``. Extra: ``service_token``.
- The connection ``warehouse_for_databrain``: host, port, login, password and database of a PostgreSQL server, as
  Databrain must open it. The database needs a schema named like the branch, with the table ``orders``.
- The environment variable ``DATABRAIN_PREVIEW_KEY_FILE``: the path of the file for the new key.

If you run one again: ``databrain_preview`` keeps what exists, sets tables and semantic layer as this file says, and
stores the same key again. The other two succeed and change nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag

from airflow_provider_databrain import (
    CreateApiTokenOperator,
    CreateDataAppOperator,
    CreateDatamartOperator,
    CreateDatasourceOperator,
    CreateWorkspaceOperator,
    DeleteDataAppOperator,
    DeleteDatamartOperator,
    DeleteDatasourceOperator,
    DeleteSemanticLayerOperator,
    DeleteWorkspaceOperator,
    RenameDataAppOperator,
    SetSemanticLayerOperator,
    UpdateDatamartOperator,
    UpdateDatasourceOperator,
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
SEMANTIC_LAYER = [{"name": "orders", "description": "What was bought; one row per order.", "synonyms": ["sales"]}]
SETTINGS: dict[str, Any] = {
    "schedule": None,
    "catchup": False,
    "tags": ["databrain"],
    "params": {"branch": Param("main", type="string", pattern="^[a-z0-9-]+$")},
    "default_args": {"retries": 2, "retry_delay": 30},
}


def keep_key(key: str) -> None:
    """Write the key to a file that only its owner can read. Replace this with a call to your secrets backend."""
    path = Path(os.environ["DATABRAIN_PREVIEW_KEY_FILE"])
    path.touch(mode=0o600)
    path.write_text(json.dumps({"databrain_preview": {"conn_type": "databrain", "password": key}}))


@dag(**SETTINGS)
def databrain_preview() -> None:
    """Create what does not exist; then set tables and semantic layer as this file says."""
    source = CreateDatasourceOperator(
        task_id="datasource",
        name=NAME,
        datasource_type="postgres",
        source_conn_id="warehouse_for_databrain",
        fields={"schema": "{{ params.branch }}"},
    )
    mart = CreateDatamartOperator(task_id="datamart", name=NAME, datasource_name=source.output, table_list=TABLES)
    tables = UpdateDatamartOperator(task_id="tables", name=mart.output, table_list=TABLES)
    layer = SetSemanticLayerOperator(task_id="semantic_layer", name=mart.output, tables=SEMANTIC_LAYER)
    workspace = CreateWorkspaceOperator(
        task_id="workspace", name=NAME, connection_type="DATAMART", datamart_name=mart.output
    )
    app = CreateDataAppOperator(task_id="data_app", name=NAME)
    token = CreateApiTokenOperator(task_id="api_token", name="airflow", data_app_name=app.output, store=keep_key)
    tables >> layer >> workspace
    app >> token


@dag(**SETTINGS)
def release_databrain_preview() -> None:
    """Make the preview the real set-up: another schema, all datasources, and the data app's real name."""
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
    """Delete the preview. Each part is deleted before the part that it reads from."""
    app = DeleteDataAppOperator(task_id="data_app", name=NAME)
    workspace = DeleteWorkspaceOperator(task_id="workspace", name=NAME)
    layer = DeleteSemanticLayerOperator(task_id="semantic_layer", name=NAME)
    mart = DeleteDatamartOperator(task_id="datamart", name=NAME)
    source = DeleteDatasourceOperator(task_id="datasource", name=NAME)
    [app, workspace] >> layer >> mart >> source


databrain_preview()
release_databrain_preview()
end_databrain_preview()
