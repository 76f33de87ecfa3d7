"""Triggers that wait until a workspace has metrics or dashboards, or until a data app has an embed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_databrain.base.trigger import PollTrigger
from airflow_provider_databrain.client.call import Call
from airflow_provider_databrain.databrain.api import embeds as api
from airflow_provider_databrain.databrain.api import workspaces
from airflow_provider_databrain.databrain.api.embeds import Embed
from airflow_provider_databrain.databrain.api.workspaces import Metric, WorkspaceDashboard
from airflow_provider_databrain.databrain.hook import DatabrainHook


def unmet(rows: Sequence[Metric | WorkspaceDashboard], wanted: Sequence[str], at_least: int, kind: str) -> str | None:
    """What is still missing, in words; None if the wait is over.

    :param rows: what the workspace has.
    :param wanted: names or ids that must exist.
    :param at_least: how many rows must exist.
    :param kind: what the rows are, in the plural.
    """
    present = {row.name for row in rows} | {
        row.metric_id if isinstance(row, Metric) else row.external_dashboard_id for row in rows
    }
    missing = [name for name in wanted if name not in present]
    if missing:
        return f"{len(missing)} of {len(wanted)} {kind} are missing: {', '.join(map(repr, missing[:10]))}"
    if len(rows) < at_least:
        return f"{len(rows)} {kind}, waiting for {at_least}"
    return None


class DatabrainTrigger(PollTrigger):
    """Base of Databrain's triggers that poll. For more parameters, see ``PollTrigger``.

    :param databrain_conn_id: the Airflow connection.
    """

    def __init__(self, *, databrain_conn_id: str, **more: Any) -> None:
        super().__init__(databrain_conn_id=databrain_conn_id, **more)
        self.databrain_conn_id = databrain_conn_id

    def hook(self) -> DatabrainHook:
        """A new hook, for this trigger only."""
        return DatabrainHook(self.databrain_conn_id, **self.timeouts)


class _WorkspaceTrigger(DatabrainTrigger):
    """Base of the triggers that wait for something in a workspace."""

    kind: str

    def __init__(self, *, workspace_name: str | None, at_least: int, **more: Any) -> None:
        wanted = more[self.kind] = list(more[self.kind])
        super().__init__(workspace_name=workspace_name, at_least=at_least, **more)
        self.workspace_name = workspace_name
        self.at_least = at_least
        self.wanted = wanted

    def subject(self, hook: Any) -> str:
        """The workspace."""
        return f"workspace {hook.workspace(self.workspace_name)!r}"

    def unmet(self, answer: Sequence[Metric | WorkspaceDashboard]) -> str | None:
        """What is still missing, in words; None if the wait is over."""
        return unmet(answer, self.wanted, self.at_least, self.kind)


class WorkspaceMetricsTrigger(_WorkspaceTrigger):
    """Fires once a workspace has the wanted metrics. For more parameters, see ``DatabrainTrigger``.

    :param workspace_name: the workspace; None for the connection's default.
    :param metrics: names or ids of metrics that must exist.
    :param at_least: how many metrics must exist.
    """

    kind = "metrics"

    def call(self, hook: Any) -> Call[list[Metric]]:
        """The workspace's metrics."""
        return workspaces.fetch_workspace_metrics(hook.workspace(self.workspace_name))


class WorkspaceDashboardsTrigger(_WorkspaceTrigger):
    """Fires once a workspace has the wanted dashboards. For more parameters, see ``DatabrainTrigger``.

    :param workspace_name: the workspace; None for the connection's default.
    :param dashboards: names or ids of dashboards that must exist.
    :param at_least: how many dashboards must exist.
    """

    kind = "dashboards"

    def call(self, hook: Any) -> Call[list[WorkspaceDashboard]]:
        """The workspace's dashboards."""
        return workspaces.fetch_workspace_dashboards(hook.workspace(self.workspace_name))


class EmbedTrigger(DatabrainTrigger):
    """Fires once the data app has an embed. For more parameters, see ``DatabrainTrigger``.

    :param embed_id: the embed.
    :param client_id: ask for this client's embeds only, so that the list is short. A server may ignore it.
    """

    def __init__(self, *, embed_id: str, client_id: str | None = None, **more: Any) -> None:
        super().__init__(embed_id=embed_id, client_id=client_id, **more)
        self.embed_id = embed_id
        self.client_id = client_id

    def subject(self, hook: Any) -> str:
        """The embed."""
        return f"embed {self.embed_id!r}"

    def call(self, hook: Any) -> Call[list[Embed]]:
        """The data app's embeds."""
        return api.list_embeds(client_id=self.client_id)

    def unmet(self, answer: Sequence[Embed]) -> str | None:
        """That the embed is missing, in words; None if the wait is over."""
        exists = any(embed.embed_id == self.embed_id for embed in answer)
        return None if exists else f"not among {len(answer)} embeds"
