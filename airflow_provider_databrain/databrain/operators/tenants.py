"""Databrain's operators over a tenant table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_databrain.databrain.operators.base import DatabrainOperator
from airflow_provider_databrain.tenants.operators.provision import PlanTenantBatchesOperator, ProvisionTenantsOperator
from airflow_provider_databrain.tenants.operators.remove import RemoveTenantsOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.databrain.target import DatabrainTarget

__all__ = ["PlanTenantBatchesOperator", "ProvisionTenantDashboardsOperator", "RemoveTenantDashboardsOperator"]


class DatabrainTenants:
    """Databrain's side of a task over a tenant table.

    :param conn_id: the Airflow connection.
    :param timeouts: seconds, instead of the connection's; as the hook takes them.
    :param options: further options of ``DatabrainTarget``.
    """

    def __init__(self, conn_id: str, timeouts: Mapping[str, float | None], **options: Any) -> None:
        from airflow_provider_databrain.databrain.hook import DatabrainHook

        self.hook = DatabrainHook(conn_id, **timeouts)
        self._options = options

    def target(self, *, repeated: bool) -> DatabrainTarget:
        """The engine's target."""
        from airflow_provider_databrain.databrain.target import DatabrainTarget

        extras = self.hook.extras
        return DatabrainTarget(
            scope=extras.data_app_name or self.hook.conn_id,
            workspace_name=extras.workspace_name,
            repeated=repeated,
            **self._options,
        )


class ProvisionTenantDashboardsOperator(ProvisionTenantsOperator):
    """Make every tenant of one batch have its Databrain dashboard; see ``ProvisionTenantsOperator`` too.

    The spec's fields are those of ``api.databrain.CreateDashboardEmbed``. An update sets access settings and name;
    the API changes nothing else.

    :param databrain_conn_id: the Airflow connection (templated).
    :param if_exists: ``adopt`` takes over a dashboard that is proved to be the tenant's; ``fail`` does not, except
        where the task is tried again and an earlier try may have created it (templated).
    :param stamp: note the client id in each new dashboard's metadata, as the proof that ``adopt`` looks for.
    """

    template_fields: Sequence[str] = (
        *DatabrainOperator.template_fields,
        *ProvisionTenantsOperator.template_fields,
        "if_exists",
    )

    ui_color = DatabrainOperator.ui_color

    def __init__(
        self,
        *,
        databrain_conn_id: str = "databrain_default",
        if_exists: Literal["adopt", "fail"] = "adopt",
        stamp: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.databrain_conn_id = databrain_conn_id
        self.if_exists = if_exists
        self.stamp = stamp

    @cached_property
    def vendor(self) -> DatabrainTenants:
        """Databrain's side of this task. Without a ledger any of the dashboards may exist, so it looks first."""
        return DatabrainTenants(
            self.databrain_conn_id,
            self.timeouts,
            if_exists=self.if_exists,
            stamp=self.stamp,
            look_first=not self.ledger_conn_id,
        )


class RemoveTenantDashboardsOperator(RemoveTenantsOperator):
    """Remove the Databrain dashboards of tenants that are no more; further parameters: see ``RemoveTenantsOperator``.

    :param databrain_conn_id: the Airflow connection (templated).
    :param delete: ``embed``, or ``dashboard`` for embed and dashboard (templated).
    """

    template_fields: Sequence[str] = (
        *DatabrainOperator.template_fields,
        *RemoveTenantsOperator.template_fields,
        "delete",
    )

    def __init__(
        self,
        *,
        delete: Literal["embed", "dashboard"],
        databrain_conn_id: str = "databrain_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.databrain_conn_id = databrain_conn_id
        self.delete = delete

    @cached_property
    def vendor(self) -> DatabrainTenants:
        """Databrain's side of this task."""
        if self.delete not in ("embed", "dashboard"):
            raise ValueError(f"delete is {self.delete!r}; it must be 'embed' or 'dashboard'. Nothing was removed.")
        return DatabrainTenants(self.databrain_conn_id, self.timeouts, delete_dashboards=self.delete == "dashboard")
