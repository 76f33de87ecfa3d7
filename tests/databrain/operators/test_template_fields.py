"""Which fields of Databrain's operators are templated."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_databrain.databrain.operators import (
    data_apps,
    datamarts,
    datasources,
    metrics,
    semantic_layers,
    tokens,
    workspaces,
)

CONTENTS = ("table_list", "tenancy_settings", "relationships")
SOURCE = ("name", "connection_type", "datasource_name", "datamart_name", "extra")
CREDENTIALS = ("name", "datasource_type", "source_conn_id", "fields")
TEMPLATED: dict[Any, tuple[str, ...]] = {
    data_apps.CreateDataAppOperator: ("name",),
    data_apps.RenameDataAppOperator: ("name", "new_name"),
    data_apps.DeleteDataAppOperator: ("name",),
    data_apps.ListDataAppsOperator: ("output_path",),
    tokens.RotateApiKeyOperator: (),
    tokens.RotateServiceTokenOperator: (),
    tokens.CreateApiTokenOperator: ("name", "data_app_name"),
    tokens.ListApiTokensOperator: ("data_app_name", "output_path"),
    datasources.CreateDatasourceOperator: CREDENTIALS,
    datasources.UpdateDatasourceOperator: CREDENTIALS,
    datasources.DeleteDatasourceOperator: ("name",),
    datasources.ListDatasourcesOperator: ("output_path",),
    datamarts.CreateDatamartOperator: ("name", "datasource_name", *CONTENTS),
    datamarts.UpdateDatamartOperator: ("name", *CONTENTS),
    datamarts.DeleteDatamartOperator: ("name",),
    datamarts.ListDatamartsOperator: ("output_path",),
    semantic_layers.SetSemanticLayerOperator: ("name", "tables", "feedback"),
    semantic_layers.FetchSemanticLayerOperator: ("name", "output_path"),
    semantic_layers.DeleteSemanticLayerOperator: ("name",),
    workspaces.CreateWorkspaceOperator: SOURCE,
    workspaces.UpdateWorkspaceOperator: SOURCE,
    workspaces.DeleteWorkspaceOperator: ("name",),
    workspaces.ListWorkspacesOperator: ("output_path",),
    metrics.FetchEmbedMetricsOperator: ("embed_id", "client_id", "output_path"),
    metrics.FetchDataAppDashboardsOperator: ("output_path",),
    metrics.FetchDashboardMetricsOperator: ("dashboard_id", "workspace_name", "output_path"),
}
OTHERS: dict[Any, dict[str, Any]] = {
    tokens.RotateApiKeyOperator: {"store": "{{ x }}", "expire_after": None},
    tokens.RotateServiceTokenOperator: {"store": "{{ x }}", "expire_after": None},
    tokens.CreateApiTokenOperator: {"store": "{{ x }}"},
}
"""Required arguments that are not templated."""


@pytest.mark.parametrize("task", TEMPLATED, ids=lambda task: task.__name__)
def test_exactly_the_documented_fields_are_templated(task: Any) -> None:
    names = ("databrain_conn_id", *TEMPLATED[task])
    others = OTHERS.get(task, {})
    made = task(task_id="t", **{name: f"{name} {{{{ x }}}}" for name in names}, **others)
    made.render_template_fields({"x": "rendered"})
    assert {name: getattr(made, name) for name in names} == {name: f"{name} rendered" for name in names}
    assert {name: getattr(made, name) for name in others} == others
    assert sorted(made.template_fields) == sorted(names)
    assert set(made.template_fields_renderers) <= set(names)
