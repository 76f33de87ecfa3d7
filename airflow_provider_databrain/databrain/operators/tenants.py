"""Databrain's operators that work on a tenant table. All need the data app API key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_databrain.databrain.operators.base import DatabrainOperator
from airflow_provider_databrain.tenants.operators.provision import ProvisionTenantsOperator
from airflow_provider_databrain.tenants.operators.remove import RemoveTenantsOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.databrain.target import DatabrainTarget


class DatabrainTenants:
    """The hook and the target of a task that works on a tenant table.

    :param conn_id: the Airflow connection.
    :param timeouts: the hook's timeouts in seconds, which replace the connection's.
    :param options: further arguments of ``DatabrainTarget``.
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
    """Give each tenant of a batch its Databrain dashboard; returns ``{tenant: dashboard id}``.

    The fields of ``spec`` are those of ``databrain.api.embeds.CreateDashboardEmbed``. For an existing dashboard, the
    task updates access settings and name; the API cannot change the other fields.

    Further parameters, and what else goes into XCom: see ``ProvisionTenantsOperator``.

    :param databrain_conn_id: the Airflow connection (templated).
    :param if_exists: if a dashboard exists already: ``adopt`` takes it over if it is proved to be the tenant's;
        ``fail`` fails, except in a retry whose earlier try may have created it (templated).
    :param stamp: write the client id into each new dashboard's metadata; ``adopt`` accepts it as proof.
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
        """The hook and the target. Without a ledger, any dashboard may exist already, so the target looks first."""
        return DatabrainTenants(
            self.databrain_conn_id,
            self.timeouts,
            if_exists=self.if_exists,
            stamp=self.stamp,
            look_first=not self.ledger_conn_id,
        )


class RemoveTenantDashboardsOperator(RemoveTenantsOperator):
    """Remove the Databrain dashboards of tenants that no longer exist.

    Further parameters, and what the task returns: see ``RemoveTenantsOperator``.

    :param databrain_conn_id: the Airflow connection (templated).
    :param delete: ``embed`` deletes only the embed; ``dashboard`` deletes the embed and its dashboard (templated).
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
        """The hook and the target, created on first use."""
        if self.delete not in ("embed", "dashboard"):
            raise ValueError(f"delete is {self.delete!r}; it must be 'embed' or 'dashboard'. Nothing was removed.")
        return DatabrainTenants(self.databrain_conn_id, self.timeouts, delete_dashboards=self.delete == "dashboard")
