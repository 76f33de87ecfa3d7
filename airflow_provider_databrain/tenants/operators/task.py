"""The base of the operators that provision and remove tenants: one run of the engine as one Airflow task.

A vendor's operator adds only its own arguments and ``vendor``, a small object with the vendor's hook and target.

What always holds: the result, the counts and the failures go to XCom before the task fails, so the ids of the good
tenants are never lost. Airflow's connections are read in the main thread; the engine runs in another thread (see
``engine.stop``).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from airflow_provider_databrain.airflow_compat import Context, conf
from airflow_provider_databrain.base.operator import ApiOperator
from airflow_provider_databrain.sql.engine import OneConnection, sql_engine

if TYPE_CHECKING:
    from airflow_provider_databrain.base.hook import ApiHook
    from airflow_provider_databrain.client.transport.aio import AsyncTransport
    from airflow_provider_databrain.tenants.engine.ledger import Ledger
    from airflow_provider_databrain.tenants.engine.progress import Progress
    from airflow_provider_databrain.tenants.engine.report import Report
    from airflow_provider_databrain.tenants.engine.stop import Stop
    from airflow_provider_databrain.tenants.engine.table import TenantSource
    from airflow_provider_databrain.tenants.engine.target import Target
    from airflow_provider_databrain.tenants.engine.workers import Rules


class Vendor(Protocol):
    """What a task over a tenant table needs from one vendor."""

    @property
    def hook(self) -> ApiHook[Any]:
        """The vendor's hook; the same one each time."""

    def target(self, *, repeated: bool) -> Target[Any]:
        """A new target for one run of the engine.

        :param repeated: an earlier try of this task may have created some of the dashboards.
        """


class TenantTask(ApiOperator):
    """What provisioning and removing share: the tenant table, the ledger, the limits of the engine, and the result."""

    must_not_vanish: ClassVar[Collection[str]] = ("active_column", "ledger_conn_id")
    _stop: Stop | None = None

    def __init__(
        self,
        *,
        sql_conn_id: str,
        key_column: str,
        table: str | None = None,
        query: str | None = None,
        active_column: str | None = None,
        ledger_conn_id: str | None = None,
        ledger_table: str = "tenant_dashboards",
        concurrency: int = 16,
        requests_per_second: float | None = None,
        max_failures: int | None = None,
        grace_seconds: float = 3.0,
        dry_run: bool | str = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        defer_above: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.sql_conn_id = sql_conn_id
        self.table = table
        self.query = query
        self.key_column = key_column
        self.active_column = active_column
        self.ledger_conn_id = ledger_conn_id
        self.ledger_table = ledger_table
        self.concurrency = concurrency
        self.requests_per_second = requests_per_second
        self.max_failures = max_failures
        self.grace_seconds = grace_seconds
        # Not ``self.dry_run``, because that is a method of Airflow's operators.
        self.dry_run_flag = dry_run
        self.deferrable = deferrable
        self.defer_above = defer_above

    @property
    @abstractmethod
    def vendor(self) -> Vendor:
        """The vendor's side of this task."""

    @property
    def hook(self) -> ApiHook[Any]:
        """The vendor's hook."""
        return self.vendor.hook

    @abstractmethod
    def run(self, databases: Databases, context: Context, stop: Stop) -> Report:
        """Do the work; runs in a thread."""

    def execute(self, context: Context) -> Any:
        """Run, push the result, and raise ``ProvisioningError`` if a tenant failed or was not finished."""
        from airflow_provider_databrain.tenants.engine.stop import Stop, in_background

        self.check_arguments(context)
        self._stop = stop = Stop()
        # Airflow's connections can be read only in the main thread.
        server = self.hook.server
        self.log.info("%s is at %s", self.hook.hook_name, server.base_url)
        databases = Databases(self)
        try:
            report, interrupt = in_background(lambda: self.run(databases, context, stop), stop, self.grace_seconds + 1)
        finally:
            databases.dispose()
        self.log.info("Tenants: %s", ", ".join(f"{count} {action}" for action, count in report.counts().items()))
        value = list(report.planned) if self.is_dry_run else report.ids
        self._push(context, report, value)
        if interrupt is not None:
            raise interrupt
        if report.wait is not None:
            self._wait(report.wait)
        report.raise_for_failures()
        return value

    def on_kill(self) -> None:
        """Start no other tenant; calls under way have ``grace_seconds``."""
        if self._stop is not None:
            self._stop.request("stopped, because the task was killed")

    def resume(self, context: Context, event: Any = None) -> Any:
        """Continue after a wait that the server asked for."""
        return self.execute(context)

    @property
    def is_dry_run(self) -> bool:
        """Whether this is a dry run, which must not change anything."""
        from airflow_provider_databrain.tenants.engine.table import parse_bool

        dry_run = parse_bool(self.dry_run_flag)
        if dry_run is None:
            raise ValueError(f"dry_run is {self.dry_run_flag!r}; it must be true or false. Nothing was sent.")
        return dry_run

    def check_arguments(self, context: Context) -> None:
        """Check the arguments that depend on each other, or on the task; nothing was read or sent yet."""
        self.source()
        _ = self.is_dry_run

    def source(self) -> TenantSource:
        """The tenant table."""
        from airflow_provider_databrain.tenants.engine.table import TenantSource

        return TenantSource(self.key_column, self.table, self.query)

    def rules(self) -> Rules:
        """The limits of the engine; raises ``ValueError`` if one is not possible."""
        from airflow_provider_databrain.tenants.engine.workers import Rules

        return Rules(self.concurrency, self.max_failures, self.grace_seconds)

    def ledger(self, databases: Databases, context: Context, target: Target[Any]) -> Ledger | None:
        """The ledger, opened; None without ``ledger_conn_id``."""
        from airflow_provider_databrain.tenants.engine.ledger import Ledger

        if databases.ledger is None:
            return None
        task_instance = context.get("ti")
        ledger = Ledger(
            databases.ledger,
            self.ledger_table,
            system=target.system,
            scope=target.scope,
            dag_id=getattr(task_instance, "dag_id", ""),
            run_id=getattr(task_instance, "run_id", ""),
        )
        ledger.open(create=not self.is_dry_run)
        return ledger

    def transport(self, stop: Stop, progress: Progress) -> AsyncTransport:
        """A transport with one pace for all workers; the caller must open it."""
        from airflow_provider_databrain.client.transport.pace import Pace
        from airflow_provider_databrain.client.waits import MAX_WAIT_SECONDS

        def on_hold(seconds: float) -> bool:
            """Whether the task stops because of this wait."""
            if self.deferrable and seconds > self.defer_above:
                stop.request(f"the server asks to wait {seconds:.0f} s", wait=seconds)
                return True
            if seconds >= MAX_WAIT_SECONDS:
                stop.request(f"the server asks to wait {seconds:.0f} s or more; a task does not hold its slot for that")
            return False

        pace = Pace(self.requests_per_second, on_hold=on_hold)
        stop.on_stop = pace.stop
        return self.hook.concurrent(self.concurrency, pace=pace, watch=progress.tried)

    def extra_xcoms(self, report: Report) -> dict[str, Any]:
        """Further XCom values: key to value."""
        return {}

    def _push(self, context: Context, report: Report, value: Any) -> None:
        task_instance = context.get("ti")
        if task_instance is None or not self.do_xcom_push:
            return
        task_instance.xcom_push(key="counts", value=report.counts())
        task_instance.xcom_push(key="failures", value=report.failures)
        for key, extra in self.extra_xcoms(report).items():
            task_instance.xcom_push(key=key, value=extra)
        if report.failures or report.why:
            # A task that raises returns nothing, so the ids are pushed here.
            task_instance.xcom_push(key="return_value", value=value)

    def _wait(self, seconds: float) -> None:
        from datetime import timedelta

        from airflow_provider_databrain.airflow_compat import TimeDeltaTrigger

        self.log.info("The server asks to wait %.0f s; the task is deferred until then", seconds)
        self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=seconds)), method_name="resume")


class Databases:
    """The databases of one task; their Airflow connections are read in the main thread.

    A task has at most one open connection, to either of them. Otherwise tasks that share a small pool (PgBouncer) could
    wait for each other until they fail.
    """

    def __init__(self, operator: TenantTask) -> None:
        one = OneConnection()
        self.tenants = sql_engine(operator.sql_conn_id, "sql_conn_id", one)
        self.ledger = sql_engine(operator.ledger_conn_id, "ledger_conn_id", one) if operator.ledger_conn_id else None

    def dispose(self) -> None:
        """Close their connections."""
        self.tenants.dispose()
        if self.ledger is not None:
            self.ledger.dispose()
