"""Which fields of Databrain's operators are templated."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_databrain.databrain.operators import data_apps as databrain_data_apps
from airflow_provider_databrain.databrain.operators import datamarts as databrain_datamarts
from airflow_provider_databrain.databrain.operators import datasources as databrain_datasources
from airflow_provider_databrain.databrain.operators import metrics as databrain_data
from airflow_provider_databrain.databrain.operators import tokens as databrain_keys
from airflow_provider_databrain.databrain.operators import workspaces as databrain_workspaces

CONTENTS = ("table_list", "tenancy_settings", "relationships")
SOURCE = ("name", "connection_type", "datasource_name", "datamart_name", "extra")
CREDENTIALS = ("name", "datasource_type", "source_conn_id", "fields")
TEXTS: dict[Any, tuple[str, ...]] = {
    databrain_data_apps.CreateDataAppOperator: ("name",),
    databrain_data_apps.RenameDataAppOperator: ("name", "new_name"),
    databrain_data_apps.DeleteDataAppOperator: ("name",),
    databrain_data_apps.ListDataAppsOperator: ("output_path",),
    databrain_keys.RotateApiKeyOperator: (),
    databrain_keys.RotateServiceTokenOperator: (),
    databrain_keys.CreateApiTokenOperator: ("name", "data_app_name"),
    databrain_keys.ListApiTokensOperator: ("data_app_name", "output_path"),
    databrain_datasources.CreateDatasourceOperator: CREDENTIALS,
    databrain_datasources.UpdateDatasourceOperator: CREDENTIALS,
    databrain_datasources.DeleteDatasourceOperator: ("name",),
    databrain_datasources.ListDatasourcesOperator: ("output_path",),
    databrain_datamarts.CreateDatamartOperator: ("name", "datasource_name", *CONTENTS),
    databrain_datamarts.UpdateDatamartOperator: ("name", *CONTENTS),
    databrain_datamarts.DeleteDatamartOperator: ("name",),
    databrain_datamarts.ListDatamartsOperator: ("output_path",),
    databrain_datamarts.SetSemanticLayerOperator: ("name", "tables", "feedback"),
    databrain_datamarts.FetchSemanticLayerOperator: ("name", "output_path"),
    databrain_datamarts.DeleteSemanticLayerOperator: ("name",),
    databrain_workspaces.CreateWorkspaceOperator: SOURCE,
    databrain_workspaces.UpdateWorkspaceOperator: SOURCE,
    databrain_workspaces.DeleteWorkspaceOperator: ("name",),
    databrain_workspaces.ListWorkspacesOperator: ("output_path",),
    databrain_data.FetchEmbedMetricsOperator: ("embed_id", "client_id", "output_path"),
    databrain_data.FetchDataAppDashboardsOperator: ("output_path",),
    databrain_data.FetchDashboardMetricsOperator: ("dashboard_id", "workspace_name", "output_path"),
}
OTHERS: dict[Any, dict[str, Any]] = {
    databrain_keys.RotateApiKeyOperator: {"store": "{{ x }}", "expire_after": None},
    databrain_keys.RotateServiceTokenOperator: {"store": "{{ x }}", "expire_after": None},
    databrain_keys.CreateApiTokenOperator: {"store": "{{ x }}"},
}
"""What is needed and is no template."""


@pytest.mark.parametrize("task", TEXTS, ids=lambda task: task.__name__)
def test_every_field_that_says_so_is_rendered_and_no_other(task: Any) -> None:
    names = ("databrain_conn_id", *TEXTS[task])
    others = OTHERS.get(task, {})
    made = task(task_id="t", **{name: f"{name} {{{{ x }}}}" for name in names}, **others)
    made.render_template_fields({"x": "rendered"})
    assert {name: getattr(made, name) for name in names} == {name: f"{name} rendered" for name in names}
    assert {name: getattr(made, name) for name in others} == others
    assert sorted(made.template_fields) == sorted(names)
    assert set(made.template_fields_renderers) <= set(names)
