"""Sensors of Databrain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.sensors.base import PollSensor

if TYPE_CHECKING:
    from airflow_provider_databrain.triggers.databrain import WorkspaceMetricsTrigger


class WorkspaceMetricsSensor(PollSensor):
    """Wait until a workspace has the named metrics, or at least so many; further parameters: see ``PollSensor``.

    Needs the service token.

    :param workspace_name: the workspace; the connection's default where it is not given (templated).
    :param metrics: names or ids of metrics that must be there (templated).
    :param at_least: how many metrics there must be (templated); 1 where no metrics are named.
    :param databrain_conn_id: the Airflow connection (templated).
    """

    template_fields: Sequence[str] = ("databrain_conn_id", "workspace_name", "metrics", "at_least")
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        workspace_name: str | None = None,
        metrics: Sequence[str] = (),
        at_least: int | str | None = None,
        databrain_conn_id: str = "databrain_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workspace_name = workspace_name
        self.metrics = metrics
        self.at_least = at_least
        self.databrain_conn_id = databrain_conn_id

    def trigger(self, **polling: Any) -> WorkspaceMetricsTrigger:
        """What waits."""
        from airflow_provider_databrain.triggers.databrain import WorkspaceMetricsTrigger

        named = [self.metrics] if isinstance(self.metrics, str) else [str(metric) for metric in self.metrics or ()]
        told = self.at_least not in (None, "", "None")
        return WorkspaceMetricsTrigger(
            databrain_conn_id=self.databrain_conn_id,
            workspace_name=self.workspace_name,
            metrics=named,
            at_least=int(str(self.at_least)) if told else 0 if named else 1,
            **polling,
        )
