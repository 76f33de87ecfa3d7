"""What a tenant may do on its dashboard."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import create_model

from airflow_provider_databrain.client.models import Extensible, Name, Sent


class TableTenancy(Sent):
    """A table and the column in it that holds the client id."""

    name: Name
    client_column: Name


class AccessSettings(Extensible):
    """What a tenant may do on its dashboard."""

    datamart_name: Name
    is_allow_email_reports: bool
    is_allow_manage_metrics: bool
    is_allow_metric_creation: bool
    is_allow_metric_deletion: bool
    is_allow_metric_layout_change: bool
    is_allow_metric_update: bool
    is_allow_underlying_data: bool
    is_allow_create_dashboard_view: bool
    metric_creation_mode: Literal["DRAG_DROP", "CHAT"]
    is_allow_ai_pilot: bool | None = None
    join_model: Literal["single", "multi"] | None = None
    is_incremental_join: bool | None = None
    table_tenancy_settings: list[TableTenancy] | None = None


_SETTINGS: dict[str, Any] = {
    # The field's own checks stay, so that None is refused where it is no value; left out, it is not sent.
    name: (Annotated[info.annotation, info], None)
    for name, info in AccessSettings.model_fields.items()
    if name not in Extensible.model_fields
}


AccessSettingsChange = create_model(
    "AccessSettingsChange",
    __base__=Extensible,
    __module__=__name__,
    __doc__="Some of the fields of ``AccessSettings``: those to be changed.",
    **_SETTINGS,
)
