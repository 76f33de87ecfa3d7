"""Databrain's sensors: they wait for metrics, dashboards, an embed, or the end of a sync.

A sensor holds the templated arguments. Its trigger (``databrain.triggers``) has the call and the condition; the sensor
uses both, also if it does not defer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.base.sensor import PollSensor
from airflow_provider_databrain.base.templating import not_negative

if TYPE_CHECKING:
    from airflow_provider_databrain.databrain.triggers.syncs import DatasourceSyncTrigger
    from airflow_provider_databrain.databrain.triggers.waits import (
        EmbedTrigger,
        WorkspaceDashboardsTrigger,
        WorkspaceMetricsTrigger,
    )


class DatabrainSensor(PollSensor):
    """Base of Databrain's sensors. For more parameters, see ``PollSensor``.

    :param databrain_conn_id: the Airflow connection (templated).
    """

    template_fields: Sequence[str] = ("databrain_conn_id",)
    ui_color = "#e8f0fe"

    def __init__(self, *, databrain_conn_id: str = "databrain_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.databrain_conn_id = databrain_conn_id


class _WorkspaceSensor(DatabrainSensor):
    template_fields: Sequence[str] = (*DatabrainSensor.template_fields, "workspace_name", "at_least")

    def __init__(self, *, workspace_name: str | None = None, at_least: int | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.workspace_name = workspace_name
        self.at_least = at_least

    def _condition(self, kind: str, wanted: Sequence[str] | str | None) -> dict[str, Any]:
        """The trigger's arguments. Templating may have turned a number or a list into a string."""
        names = [wanted] if isinstance(wanted, str) else [str(name) for name in wanted or ()]
        at_least = None if self.at_least in (None, "", "None") else not_negative(self.at_least, "at_least")
        return {
            "databrain_conn_id": self.databrain_conn_id,
            "workspace_name": self.workspace_name,
            "at_least": at_least if at_least is not None else 0 if names else 1,
            kind: names,
        }


class WorkspaceMetricsSensor(_WorkspaceSensor):
    """Wait until a workspace has all named metrics, and at least ``at_least`` metrics.

    Needs the service token. For more parameters, see ``DatabrainSensor``.

    :param workspace_name: the workspace; without it, the connection's default (templated).
    :param metrics: names or ids of metrics that must exist (templated).
    :param at_least: how many metrics must exist (templated). Without it, 1; or 0 if ``metrics`` names any.
    """

    template_fields: Sequence[str] = (*_WorkspaceSensor.template_fields, "metrics")

    def __init__(self, *, metrics: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metrics = metrics

    def trigger(self, **polling: Any) -> WorkspaceMetricsTrigger:
        """The trigger with the call and the condition."""
        from airflow_provider_databrain.databrain.triggers.waits import WorkspaceMetricsTrigger

        return WorkspaceMetricsTrigger(**self._condition("metrics", self.metrics), **polling)


class WorkspaceDashboardsSensor(_WorkspaceSensor):
    """Wait until a workspace has all named dashboards, and at least ``at_least`` dashboards.

    Needs the service token. For more parameters, see ``DatabrainSensor``.

    :param workspace_name: the workspace; without it, the connection's default (templated).
    :param dashboards: names or ids of dashboards that must exist (templated).
    :param at_least: how many dashboards must exist (templated). Without it, 1; or 0 if ``dashboards`` names any.
    """

    template_fields: Sequence[str] = (*_WorkspaceSensor.template_fields, "dashboards")

    def __init__(self, *, dashboards: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dashboards = dashboards

    def trigger(self, **polling: Any) -> WorkspaceDashboardsTrigger:
        """The trigger with the call and the condition."""
        from airflow_provider_databrain.databrain.triggers.waits import WorkspaceDashboardsTrigger

        return WorkspaceDashboardsTrigger(**self._condition("dashboards", self.dashboards), **polling)


class EmbedSensor(DatabrainSensor):
    """Wait until the data app has an embed.

    Needs the data app API key. For more parameters, see ``DatabrainSensor``.

    :param embed_id: the embed (templated).
    :param client_id: ask for this client's embeds only, so that the list is short (templated).
    """

    template_fields: Sequence[str] = (*DatabrainSensor.template_fields, "embed_id", "client_id")

    def __init__(self, *, embed_id: str, client_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embed_id = embed_id
        self.client_id = client_id

    def trigger(self, **polling: Any) -> EmbedTrigger:
        """The trigger with the call and the condition."""
        from airflow_provider_databrain.databrain.triggers.waits import EmbedTrigger

        return EmbedTrigger(
            databrain_conn_id=self.databrain_conn_id,
            embed_id=self.embed_id,
            client_id=self.client_id or None,
            **polling,
        )


class DatasourceSyncSensor(DatabrainSensor):
    """Wait until the sync of a datasource on S3 is done.

    If the sync failed, the task fails with the server's message. The API does not say which sync is done: it may be an
    earlier one. Needs the service token. For more parameters, see ``DatabrainSensor``.

    :param datasource_id: a UUID, from the URL of the datasource's page in Databrain (templated).
    """

    template_fields: Sequence[str] = (*DatabrainSensor.template_fields, "datasource_id")

    def __init__(self, *, datasource_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.datasource_id = datasource_id

    def trigger(self, **polling: Any) -> DatasourceSyncTrigger:
        """The trigger with the call and the condition."""
        from airflow_provider_databrain.databrain.triggers.syncs import DatasourceSyncTrigger

        return DatasourceSyncTrigger(
            databrain_conn_id=self.databrain_conn_id, datasource_id=self.datasource_id, **polling
        )
