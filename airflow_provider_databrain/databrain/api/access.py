"""Databrain's access settings: what a tenant may do on its dashboard.

``AccessSettings`` are all settings: a new dashboard needs them. ``AccessSettingsChange`` has the same fields, each
optional: a change sends only those that are set.

Facts: pages create-dashboard-embed and update-embed of the vendor's API reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, create_model

from airflow_provider_databrain.client.models import Extensible, Name, Sent


class TableTenancy(Sent):
    """A table, and its column that holds the client id."""

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


_OPTIONAL_SETTINGS: dict[str, Any] = {
    # Each field keeps its own checks. So None is refused for a field that cannot be None, and a field left out is not
    # sent.
    name: (Annotated[info.annotation, info], None)
    for name, info in AccessSettings.model_fields.items()
    if name not in Extensible.model_fields
}
AccessSettingsChange = create_model(
    "AccessSettingsChange",
    __base__=Extensible,
    __module__=__name__,
    __doc__="Some of the fields of ``AccessSettings``: those to change.",
    **_OPTIONAL_SETTINGS,
)


def _read_change(value: object) -> object:
    return AccessSettingsChange.model_validate(value) if isinstance(value, Mapping) else value


SomeAccessSettings = Annotated[Extensible, BeforeValidator(_read_change)]
"""All settings or some. A mapping is read as ``AccessSettingsChange``, by Python names or by the API's own."""
