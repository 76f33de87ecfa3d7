"""Moving a dashboard from one place to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.databrain.operators.base import DatabrainOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.databrain.api.dashboards import DashboardExport, ImportDashboard
    from airflow_provider_databrain.databrain.hook import DatabrainHook


class PromoteDashboardOperator(DatabrainOperator):
    """Copy a dashboard into another workspace, or another Databrain (development to production); returns its id there.

    The dashboard is exported, imported under an id that you choose, and exported again from where it went: whatever it
    has must be there, and each list as long as it was. Where the workspace has a dashboard of that id already, nothing
    is imported: the task succeeds if the two exports are the same but for ``schema_pairs``, as after an earlier try
    whose answer got lost, and fails otherwise. Needs the service token on both sides.

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
        from airflow_provider_databrain.databrain.hook import DatabrainHook

        return DatabrainHook(self.target_conn_id or self.databrain_conn_id, **self.timeouts)

    def execute(self, context: Context) -> str:
        """Export, import, compare; returns the dashboard's id where it went.

        :raises PromotionError: another dashboard has that id there, or it did not arrive as it was sent.
        """
        from airflow_provider_databrain.client.errors import AlreadyExistsError

        target = self.target_hook.workspace(self.target_workspace_name)
        identifier = self.target_dashboard_id or self.dashboard_id
        exported = self.hook.export_dashboard(self.dashboard_id, self.hook.workspace(self.workspace_name))
        wanted = self._wanted(exported, identifier, target)
        # Looked at first, because older servers answer an import the same whether the id is taken or not.
        there = self.target_hook.fetch_workspace_dashboards(target, page="all")
        if any(row.external_dashboard_id == identifier for row in there):
            self._check_same(exported, wanted)
            self.log.info("Dashboard %r is in workspace %r already", identifier, target)
            return identifier
        try:
            self.target_hook.import_dashboard(wanted)
        except AlreadyExistsError as taken:
            # After an unclear try the dashboard may be the one that this try has imported; else it is not ours.
            if not taken.after_ambiguous:
                raise
        self._check_arrived(exported, identifier, target)
        self.log.info("Dashboard %r was imported into workspace %r", identifier, target)
        return identifier

    def _wanted(self, exported: DashboardExport, identifier: str, target: str) -> ImportDashboard:
        from airflow_provider_databrain.databrain.api.dashboards import ImportDashboard

        fields = {
            "workspace_name": target,
            "import_dashboard_data": exported.data,
            "dashboard_id": identifier,
            "dashboard_name": self.target_dashboard_name or None,
            "schema_pairs": list(self.schema_pairs or ()) or None,
        }
        return ImportDashboard.model_validate({name: value for name, value in fields.items() if value is not None})

    def _check_same(self, exported: DashboardExport, wanted: ImportDashboard) -> None:
        identifier, target = str(wanted.dashboard_id), wanted.workspace_name
        pairs = {pair.replace_schema: pair.target_schema for pair in wanted.schema_pairs or ()}
        arrived = self.target_hook.export_dashboard(identifier, target)
        # Those that were replaced are replaced on both sides, wherever they stand.
        sent, got = _in_schemas(exported.data, pairs), _in_schemas(arrived.data, pairs)
        if different := sorted(name for name in {*sent, *got} if sent.get(name) != got.get(name)):
            raise PromotionError(
                f"workspace {target!r} has another dashboard {identifier!r}: it differs in {', '.join(different)}. "
                "Nothing was imported; delete it, or give another target_dashboard_id."
            )

    def _check_arrived(self, exported: DashboardExport, identifier: str, target: str) -> None:
        from airflow_provider_databrain.client.errors import InvalidRequestError, NotFoundError

        try:
            arrived = self.target_hook.export_dashboard(identifier, target)
        except (InvalidRequestError, NotFoundError) as error:
            raise PromotionError(
                f"dashboard {identifier!r} was sent to workspace {target!r}, but cannot be exported from there; "
                f"another workspace may have that id: {error}"
            ) from error
        if lost := _lost(exported, arrived):
            raise PromotionError(f"dashboard {identifier!r} was imported into workspace {target!r}, but {lost}")


class PromotionError(Exception):
    """A dashboard that is not, or did not arrive, as it was sent."""


def _lost(sent: DashboardExport, arrived: DashboardExport) -> str | None:
    """What did not arrive, in words. A server may give new ids to what is in it, so values are not compared."""
    if missing := sorted(set(sent.data) - set(arrived.data)):
        return f"it came without {', '.join(missing)}"
    for name, value in sent.data.items():
        other = arrived.data[name]
        if isinstance(value, list) and not (isinstance(other, list) and len(other) == len(value)):
            count = len(other) if isinstance(other, list) else 0
            return f"its {name} are {count} instead of {len(value)}"
    return None


def _in_schemas(value: Any, pairs: Mapping[str, str]) -> Any:
    """A document in which each text that is a schema to be replaced, is replaced."""
    if isinstance(value, dict):
        return {key: _in_schemas(item, pairs) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_schemas(item, pairs) for item in value]
    return pairs.get(value, value) if isinstance(value, str) else value
