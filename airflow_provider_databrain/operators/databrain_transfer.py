"""Moving a dashboard from one place to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.operators.databrain import DatabrainOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.api.databrain_transfer import DashboardExport
    from airflow_provider_databrain.hooks.databrain import DatabrainHook


class PromoteDashboardOperator(DatabrainOperator):
    """Copy a dashboard into another workspace, or another Databrain (development to production); returns its id there.

    The dashboard is exported, imported under an id that you choose, and exported again from where it went: it must be
    there with as many metrics as went in. One that is there already under that id is left as it is, and the task fails
    unless it has those metrics too, as after a retry. Needs the service token on both sides.

    :param dashboard_id: of the dashboard to be copied, not of an embed (templated).
    :param workspace_name: where it is; the connection's default where it is not given (templated).
    :param target_conn_id: where it goes; ``databrain_conn_id`` where it is not given (templated).
    :param target_workspace_name: the workspace there; the target connection's default where not given (templated).
    :param target_dashboard_id: its id there; the same where it is not given (templated).
    :param target_dashboard_name: its title there (templated).
    :param schema_pairs: database schemas to be replaced, each ``{"replace_schema", "target_schema"}`` (templated).
    """

    template_fields: Sequence[str] = (
        *DatabrainOperator.template_fields,
        "dashboard_id",
        "workspace_name",
        "target_conn_id",
        "target_workspace_name",
        "target_dashboard_id",
        "target_dashboard_name",
        "schema_pairs",
    )

    def __init__(
        self,
        *,
        dashboard_id: str,
        workspace_name: str | None = None,
        target_conn_id: str | None = None,
        target_workspace_name: str | None = None,
        target_dashboard_id: str | None = None,
        target_dashboard_name: str | None = None,
        schema_pairs: Sequence[Mapping[str, str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.dashboard_id = dashboard_id
        self.workspace_name = workspace_name
        self.target_conn_id = target_conn_id
        self.target_workspace_name = target_workspace_name
        self.target_dashboard_id = target_dashboard_id
        self.target_dashboard_name = target_dashboard_name
        self.schema_pairs = schema_pairs

    @cached_property
    def target_hook(self) -> DatabrainHook:
        """The hook of where it goes."""
        from airflow_provider_databrain.hooks.databrain import DatabrainHook

        return DatabrainHook(self.target_conn_id or self.databrain_conn_id, **self.timeouts)

    def execute(self, context: Context) -> str:
        """Export, import, compare; returns the dashboard's id where it went."""
        from airflow_provider_databrain.api.databrain_transfer import ImportDashboard
        from airflow_provider_databrain.api.errors import AlreadyExistsError

        source, target = (
            self.hook.workspace(self.workspace_name),
            self.target_hook.workspace(self.target_workspace_name),
        )
        identifier = self.target_dashboard_id or self.dashboard_id
        exported = self.hook.export_dashboard(self.dashboard_id, source)
        wanted = ImportDashboard.model_validate(
            {
                "workspace_name": target,
                "import_dashboard_data": exported.data,
                "dashboard_id": identifier,
                "dashboard_name": self.target_dashboard_name or None,
                "schema_pairs": list(self.schema_pairs) if self.schema_pairs else None,
            }
        )
        taken: AlreadyExistsError | None = None
        try:
            self.target_hook.import_dashboard(wanted)
        except AlreadyExistsError as error:
            taken = error
        arrived = self.target_hook.export_dashboard(identifier, target)
        if difference := _difference(exported, arrived):
            if taken is not None:
                raise taken
            raise PromotionError(f"dashboard {identifier!r} was imported into {target!r}, but {difference}")
        self.log.info("Dashboard %r is in workspace %r", identifier, target)
        return identifier


class PromotionError(Exception):
    """A dashboard that did not arrive as it was sent."""


def _difference(sent: DashboardExport, arrived: DashboardExport) -> str | None:
    """What is not the same in both, in words."""
    missing = sorted(set(sent.data) - set(arrived.data))
    if missing:
        return f"it came without {', '.join(missing)}"
    for name, value in sent.data.items():
        other = arrived.data[name]
        if isinstance(value, list | dict) and isinstance(other, list | dict) and len(value) != len(other):
            return f"its {name} has {len(other)} items instead of {len(value)}"
    return None
