"""Waiting for metrics of a workspace, on the triggerer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_databrain.api import databrain as api
from airflow_provider_databrain.api.core import Call
from airflow_provider_databrain.api.databrain import Metric
from airflow_provider_databrain.hooks.databrain import DatabrainHook
from airflow_provider_databrain.triggers.base import PollTrigger


def unmet(metrics: Sequence[Metric], wanted: Sequence[str], at_least: int) -> str | None:
    """What is still missing, in words, or None where the wait is over.

    :param metrics: what the workspace has.
    :param wanted: names or ids of metrics that must be there.
    :param at_least: how many metrics there must be.
    """
    there = {metric.metric_id for metric in metrics} | {metric.name for metric in metrics}
    missing = [name for name in wanted if name not in there]
    if missing:
        return f"{len(missing)} of {len(wanted)} metrics are missing: {', '.join(map(repr, missing[:10]))}"
    if len(metrics) < at_least:
        return f"{len(metrics)} metrics, waiting for {at_least}"
    return None


class WorkspaceMetricsTrigger(PollTrigger):
    """Fires once a workspace has the wanted metrics; further parameters: see ``PollTrigger``.

    :param databrain_conn_id: the Airflow connection.
    :param workspace_name: the workspace; None for the connection's default.
    :param metrics: names or ids of metrics that must be there.
    :param at_least: how many metrics there must be.
    """

    def __init__(
        self,
        *,
        databrain_conn_id: str,
        workspace_name: str | None,
        metrics: Sequence[str],
        at_least: int,
        **polling: Any,
    ) -> None:
        super().__init__(
            databrain_conn_id=databrain_conn_id,
            workspace_name=workspace_name,
            metrics=list(metrics),
            at_least=at_least,
            **polling,
        )
        self.databrain_conn_id = databrain_conn_id
        self.workspace_name = workspace_name
        self.metrics = metrics
        self.at_least = at_least

    def hook(self) -> DatabrainHook:
        """A hook of its own."""
        return DatabrainHook(self.databrain_conn_id, **self.timeouts)

    def subject(self, hook: Any) -> str:
        """The workspace."""
        return f"workspace {hook.workspace(self.workspace_name)!r}"

    def call(self, hook: Any) -> Call[list[Metric]]:
        """The workspace's metrics."""
        return api.fetch_workspace_metrics(hook.workspace(self.workspace_name))

    def unmet(self, answer: Sequence[Metric]) -> str | None:
        """Which metrics are missing."""
        return unmet(answer, self.metrics, self.at_least)
