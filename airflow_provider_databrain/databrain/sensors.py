"""Sensors of Databrain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.base.sensor import PollSensor

if TYPE_CHECKING:
    from airflow_provider_databrain.databrain.triggers.syncs import DatasourceSyncTrigger
    from airflow_provider_databrain.databrain.triggers.waits import (
        EmbedTrigger,
        WorkspaceDashboardsTrigger,
        WorkspaceMetricsTrigger,
    )


class DatabrainSensor(PollSensor):
    """Base of the sensors that ask Databrain; further parameters: see ``PollSensor``.

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

    def waited_for(self, kind: str, named: Sequence[str] | str | None) -> dict[str, Any]:
        """The trigger's arguments, of which templating may have made texts."""
        names = [named] if isinstance(named, str) else [str(name) for name in named or ()]
        told = self.at_least not in (None, "", "None")
        return {
            "databrain_conn_id": self.databrain_conn_id,
            "workspace_name": self.workspace_name,
            "at_least": int(str(self.at_least)) if told else 0 if names else 1,
            kind: names,
        }


class WorkspaceMetricsSensor(_WorkspaceSensor):
    """Wait until a workspace has the named metrics, or at least so many; further parameters: see ``DatabrainSensor``.

    Needs the service token.

    :param workspace_name: the workspace; the connection's default where it is not given (templated).
    :param metrics: names or ids of metrics that must be there (templated).
    :param at_least: how many metrics there must be (templated); 1 where no metrics are named.
    """

    template_fields: Sequence[str] = (*_WorkspaceSensor.template_fields, "metrics")

    def __init__(self, *, metrics: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metrics = metrics

    def trigger(self, **polling: Any) -> WorkspaceMetricsTrigger:
        """What waits."""
        from airflow_provider_databrain.databrain.triggers.waits import WorkspaceMetricsTrigger

        return WorkspaceMetricsTrigger(**self.waited_for("metrics", self.metrics), **polling)


class WorkspaceDashboardsSensor(_WorkspaceSensor):
    """Wait until a workspace has the named dashboards, or at least so many; parameters: see ``DatabrainSensor`` too.

    Needs the service token.

    :param workspace_name: the workspace; the connection's default where it is not given (templated).
    :param dashboards: names or ids of dashboards that must be there (templated).
    :param at_least: how many dashboards there must be (templated); 1 where no dashboards are named.
    """

    template_fields: Sequence[str] = (*_WorkspaceSensor.template_fields, "dashboards")

    def __init__(self, *, dashboards: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dashboards = dashboards

    def trigger(self, **polling: Any) -> WorkspaceDashboardsTrigger:
        """What waits."""
        from airflow_provider_databrain.databrain.triggers.waits import WorkspaceDashboardsTrigger

        return WorkspaceDashboardsTrigger(**self.waited_for("dashboards", self.dashboards), **polling)


class EmbedSensor(DatabrainSensor):
    """Wait until the data app has an embed; further parameters: see ``DatabrainSensor``. Needs the data app API key.

    :param embed_id: the embed (templated).
    :param client_id: ask only for this client's embeds, which makes the list short (templated).
    """

    template_fields: Sequence[str] = (*DatabrainSensor.template_fields, "embed_id", "client_id")

    def __init__(self, *, embed_id: str, client_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.embed_id = embed_id
        self.client_id = client_id

    def trigger(self, **polling: Any) -> EmbedTrigger:
        """What waits."""
        from airflow_provider_databrain.databrain.triggers.waits import EmbedTrigger

        return EmbedTrigger(
            databrain_conn_id=self.databrain_conn_id,
            embed_id=self.embed_id,
            client_id=self.client_id or None,
            **polling,
        )


class DatasourceSyncSensor(DatabrainSensor):
    """Wait until the sync of a datasource on S3 is done; further parameters: see ``DatabrainSensor``.

    A sync that has failed fails the task with the server's words. The API does not tell whether what is done is an
    earlier sync. Needs the service token.

    :param datasource_id: a UUID, from the address of the datasource's page in Databrain (templated).
    """

    template_fields: Sequence[str] = (*DatabrainSensor.template_fields, "datasource_id")

    def __init__(self, *, datasource_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.datasource_id = datasource_id

    def trigger(self, **polling: Any) -> DatasourceSyncTrigger:
        """What waits."""
        from airflow_provider_databrain.databrain.triggers.syncs import DatasourceSyncTrigger

        return DatasourceSyncTrigger(
            databrain_conn_id=self.databrain_conn_id, datasource_id=self.datasource_id, **polling
        )
