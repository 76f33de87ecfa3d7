"""Sensors of Databrain."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow_provider_databrain.airflow_compat import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    Context,
    conf,
)

GRACE = timedelta(seconds=60)
"""How much later than the trigger Airflow itself gives up, so that the trigger's own words are heard."""


class WorkspaceMetricsSensor(BaseSensorOperator):
    """Wait until a workspace has the named metrics, or at least so many. Needs the service token.

    A poll that fails for a passing reason (network, rate limit, 5xx) counts as "not yet", up to
    ``max_transient_failures`` in a row; in reschedule mode, where a sensor remembers nothing from poke to
    poke, until the timeout. Any other error fails the task at once. ``soft_fail``, ``silent_fail`` and
    ``never_fail`` mean the same in all modes; ``exponential_backoff`` has no effect where the sensor is deferred.

    :param workspace_name: the workspace; the connection's default where it is not given (templated).
    :param metrics: names or ids of metrics that must be there (templated).
    :param at_least: how many metrics there must be (templated); 1 where no metrics are named.
    :param max_transient_failures: polls in a row that may fail for a passing reason.
    :param deferrable: wait on the triggerer, without a worker.
    :param databrain_conn_id: the Airflow connection (templated).
    :param connect_timeout: seconds, instead of the connection's.
    :param read_timeout: seconds, instead of the connection's.
    :param max_retry_seconds: seconds within one poll in which further tries may start, instead of the connection's.
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
        max_transient_failures: int = 5,
        connect_timeout: float | None = None,
        read_timeout: float | None = None,
        max_retry_seconds: float | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workspace_name = workspace_name
        self.metrics = metrics
        self.at_least = at_least
        self.databrain_conn_id = databrain_conn_id
        self.max_transient_failures = max_transient_failures
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.max_retry_seconds = max_retry_seconds
        self.deferrable = deferrable
        self._failures = 0

    def poke(self, context: Context) -> bool:
        """Ask once; True where the wait is over."""
        from airflow_provider_databrain.api.errors import ApiError
        from airflow_provider_databrain.hooks.databrain import DatabrainHook
        from airflow_provider_databrain.triggers.databrain import unmet

        hook = DatabrainHook(self.databrain_conn_id, **self._timeouts())
        try:
            metrics = hook.fetch_workspace_metrics(hook.workspace(self.workspace_name))
        except ApiError as error:
            self._failures += 1
            if not error.transient or self._failures > self.max_transient_failures:
                raise
            self.log.warning("Poll failed (%d in a row): %s", self._failures, error)
            return False
        finally:
            hook.close()
        self._failures = 0
        missing = unmet(metrics, self._named(), self._least())
        self.log.info("%s", missing or "The metrics are there")
        return missing is None

    def execute(self, context: Context) -> None:
        """Wait here or, where deferrable, on the triggerer."""
        if not self.deferrable:
            super().execute(context)
        elif not self._is_met(context):
            self._defer()

    def _is_met(self, context: Context) -> bool:
        try:
            return self.poke(context)
        except Exception as error:
            if not self.silent_fail:
                if self.never_fail:
                    raise AirflowSkipException(f"The first poke failed: {error}") from error
                raise
            self.log.warning("The first poke failed: %s", error)
            return False

    def _defer(self) -> None:
        from airflow_provider_databrain.triggers.databrain import WorkspaceMetricsTrigger

        limit = timedelta(seconds=float(self.timeout))
        self.defer(
            trigger=WorkspaceMetricsTrigger(
                databrain_conn_id=self.databrain_conn_id,
                workspace_name=self.workspace_name,
                metrics=self._named(),
                at_least=self._least(),
                poke_interval=float(self.poke_interval),
                deadline=time.time() + limit.total_seconds(),
                max_transient_failures=self.max_transient_failures,
                silent_fail=self.silent_fail,
                timeouts=self._timeouts(),
            ),
            method_name="execute_complete",
            timeout=limit + GRACE,
        )

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """End as the trigger's event says; an event that is none of the known ones is a failure."""
        status = (event or {}).get("status")
        message = (event or {}).get("message", "the trigger sent no message")
        if status == "success":
            self.log.info("%s", message)
        elif self.never_fail or (status == "timeout" and self.soft_fail):
            raise AirflowSkipException(f"Timed out: {message}" if status == "timeout" else f"Failed: {message}")
        elif status == "timeout":
            raise AirflowSensorTimeout(f"Timed out: {message}")
        else:
            raise WaitError(f"The wait ended without a result: {message} (event {status!r})")

    def _named(self) -> list[str]:
        return [self.metrics] if isinstance(self.metrics, str) else [str(metric) for metric in self.metrics or ()]

    def _least(self) -> int:
        if self.at_least not in (None, "", "None"):
            return int(str(self.at_least))
        return 0 if self._named() else 1

    def _timeouts(self) -> dict[str, float | None]:
        return {
            "connect_timeout": self.connect_timeout,
            "read_timeout": self.read_timeout,
            "max_retry_seconds": self.max_retry_seconds,
        }


class WaitError(Exception):
    """A deferred wait that ended in an error on the triggerer; the message carries it."""
