"""The operator that copies a dashboard between workspaces. It needs the service token on both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.databrain.operators.base import DatabrainOperator
from airflow_provider_databrain.portable import Portable

if TYPE_CHECKING:
    from airflow_provider_databrain.databrain.api.dashboards import DashboardExport, ImportDashboard
    from airflow_provider_databrain.databrain.hook import DatabrainHook


class PromotionError(Portable, Exception):
    """The target has another dashboard with this id, or the copy is not complete."""


class PromoteDashboardOperator(DatabrainOperator):
    """Copy a dashboard to another workspace or another Databrain; returns the copy's id.

    For example, from development to production. The task exports the dashboard, imports it under the target id, and
    exports the copy to check it: the copy must have every part of the original, and each list must have as many items.

    If the target workspace has a dashboard with the target id already, the task imports nothing. It succeeds if the two
    exports differ only in ``schema_pairs``, as after an earlier try whose answer was lost. Otherwise it fails.

    Further parameters: see ``DatabrainOperator``.

    :param dashboard_id: the id of the dashboard to copy, not of an embed (templated).
    :param workspace_name: its workspace; the connection's default if not set (templated).
    :param target_conn_id: the Airflow connection to copy to; ``databrain_conn_id`` if not set (templated).
    :param target_workspace_name: the workspace to copy to; the target connection's default if not set (templated).
    :param target_dashboard_id: the copy's id; ``dashboard_id`` if not set (templated).
    :param target_dashboard_name: the copy's title (templated).
    :param schema_pairs: database schemas to replace, each ``{"replace_schema", "target_schema"}`` (templated).
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
        """The hook of the target connection, created on first use."""
        from airflow_provider_databrain.databrain.hook import DatabrainHook

        return DatabrainHook(self.target_conn_id or self.databrain_conn_id, **self.timeouts)

    def execute(self, context: Context) -> str:
        """Export, import and check; returns the copy's id.

        :raises PromotionError: another dashboard has the target id, or the copy is not complete.
        :raises AlreadyExistsError: another workspace uses the target id.
        :raises NotFoundError: the target workspace does not exist.
        :raises InvalidRequestError: the dashboard or its workspace does not exist.
        """
        from airflow_provider_databrain.client.errors import AlreadyExistsError

        target = self.target_hook.workspace(self.target_workspace_name)
        identifier = self.target_dashboard_id or self.dashboard_id
        exported = self.hook.export_dashboard(self.dashboard_id, self.hook.workspace(self.workspace_name))
        wanted = self._import_request(exported, identifier, target)
        # Check the id first: an older server's answer to an import does not say whether the id was taken.
        existing = self.target_hook.fetch_workspace_dashboards(target, page="all")
        if any(row.external_dashboard_id == identifier for row in existing):
            self._check_same(exported, wanted)
            self.log.info("Dashboard %r is already in workspace %r", identifier, target)
            return identifier
        try:
            self.target_hook.import_dashboard(wanted)
        except AlreadyExistsError as taken:
            taken.raise_unless_from_api()
            # After an ambiguous try, this task may have imported the dashboard itself. Otherwise it is another one.
            if not taken.after_ambiguous:
                raise
        self._check_arrived(exported, identifier, target)
        self.log.info("Dashboard %r was imported into workspace %r", identifier, target)
        return identifier

    def _import_request(self, exported: DashboardExport, identifier: str, target: str) -> ImportDashboard:
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
        # Replace the schemas on both sides, so that they do not count as a difference.
        sent, got = _with_schemas_replaced(exported.data, pairs), _with_schemas_replaced(arrived.data, pairs)
        if different := sorted(name for name in {*sent, *got} if sent.get(name) != got.get(name)):
            raise PromotionError(
                f"workspace {target!r} has another dashboard {identifier!r}: it differs in {', '.join(different)}. "
                "Nothing was imported; delete it, or set another target_dashboard_id."
            )

    def _check_arrived(self, exported: DashboardExport, identifier: str, target: str) -> None:
        from airflow_provider_databrain.client.errors import InvalidRequestError, NotFoundError

        try:
            arrived = self.target_hook.export_dashboard(identifier, target)
        except (InvalidRequestError, NotFoundError) as error:
            error.raise_unless_from_api()
            raise PromotionError(
                f"dashboard {identifier!r} was sent to workspace {target!r}, but cannot be exported from there; "
                f"another workspace may have that id: {error}"
            ) from error
        if missing := _missing_part(exported, arrived):
            raise PromotionError(f"dashboard {identifier!r} was imported into workspace {target!r}, but {missing}")


def _missing_part(sent: DashboardExport, arrived: DashboardExport) -> str | None:
    """What the copy lacks, as part of a message. Values are not compared: a server may assign new ids inside."""
    if missing := sorted(set(sent.data) - set(arrived.data)):
        return f"these parts are missing: {', '.join(missing)}"
    for name, value in sent.data.items():
        other = arrived.data[name]
        if isinstance(value, list) and not (isinstance(other, list) and len(other) == len(value)):
            count = len(other) if isinstance(other, list) else 0
            return f"it has {count} items in {name!r} instead of {len(value)}"
    return None


def _with_schemas_replaced(value: Any, pairs: Mapping[str, str]) -> Any:
    """A copy of an exported document. Each string that is the name of a schema to replace, is replaced."""
    if isinstance(value, dict):
        return {key: _with_schemas_replaced(item, pairs) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_schemas_replaced(item, pairs) for item in value]
    return pairs.get(value, value) if isinstance(value, str) else value
