"""Operators of Databrain's datasources."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context, conf
from airflow_provider_databrain.operators.databrain import DatabrainOperator

if TYPE_CHECKING:
    from airflow_provider_databrain.triggers.databrain_datasources import DatasourceSyncTrigger

GRACE = timedelta(seconds=60)
"""How much later than the trigger Airflow itself gives up, so that the trigger's own words are heard."""


class SyncDatasourceOperator(DatabrainOperator):
    """Make Databrain read a database's schema anew. Needs the service token.

    The server answers once the sync is done. Where the answer gets lost, such as by ``read_timeout``, the sync may be
    running; then it is not started again, and the task waits for its progress. The API tells progress for datasources
    on S3 only, and does not tell whether it is that of an earlier sync.

    :param datasource_id: a UUID, from the address of the datasource's page in Databrain (templated).
    :param wait_for_progress: wait for the progress after a good answer too.
    :param poke_interval: seconds between two looks at the progress.
    :param wait_seconds: seconds after which the wait fails.
    :param max_transient_failures: looks in a row that may fail for a passing reason.
    :param deferrable: wait on the triggerer, without a worker.
    """

    template_fields: Sequence[str] = (*DatabrainOperator.template_fields, "datasource_id")

    def __init__(
        self,
        *,
        datasource_id: str,
        wait_for_progress: bool = False,
        poke_interval: float = 30,
        wait_seconds: float = 3600,
        max_transient_failures: int = 5,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.datasource_id = datasource_id
        self.wait_for_progress = wait_for_progress
        self.poke_interval = poke_interval
        self.wait_seconds = wait_seconds
        self.max_transient_failures = max_transient_failures
        self.deferrable = deferrable

    def execute(self, context: Context) -> None:
        """Sync, and wait where that is needed.

        :raises SyncFailedError: the server says that the sync has failed.
        :raises TimeoutError: it was not seen to end within ``wait_seconds``.
        """
        from airflow_provider_databrain.api.errors import ApiError

        try:
            message = self.hook.sync_datasource(self.datasource_id)
        except ApiError as error:
            if not error.ambiguous:
                raise
            self.log.warning("The sync may be running; waiting for its progress, because: %s", error)
        else:
            self.log.info("Datasource %r: %s", self.datasource_id, message or "synced")
            if not self.wait_for_progress:
                return
        trigger = self._trigger()
        if self.deferrable:
            limit = timedelta(seconds=float(self.wait_seconds)) + GRACE
            self.defer(trigger=trigger, method_name="execute_complete", timeout=limit)
        self._wait(trigger)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """End as the trigger's event says; an event that is none of the known ones is a failure."""
        from airflow_provider_databrain.triggers.databrain_datasources import SyncFailedError

        status = (event or {}).get("status")
        message = (event or {}).get("message", "the trigger sent no message")
        if status == "timeout":
            raise TimeoutError(f"Timed out: {message}")
        if status != "success":
            raise SyncFailedError(message)
        self.log.info("%s", message)

    def _trigger(self) -> DatasourceSyncTrigger:
        from airflow_provider_databrain.triggers.databrain_datasources import DatasourceSyncTrigger

        return DatasourceSyncTrigger(
            databrain_conn_id=self.databrain_conn_id,
            datasource_id=self.datasource_id,
            poke_interval=float(self.poke_interval),
            deadline=time.time() + float(self.wait_seconds),
            max_transient_failures=self.max_transient_failures,
            timeouts=self.timeouts,
        )

    def _wait(self, trigger: DatasourceSyncTrigger) -> None:
        """Wait here."""
        from airflow_provider_databrain.api.errors import ApiError

        failures = 0
        while True:
            try:
                missing = trigger.unmet(self.hook.run(trigger.call(self.hook)))
                failures = 0
            except ApiError as error:
                failures += 1
                if not error.transient or failures > self.max_transient_failures:
                    raise
                missing = f"poll failed ({failures} in a row): {error}"
            state = f"{trigger.subject(self.hook)}: {missing or 'the wait is over'}"
            self.log.info("%s", state)
            if missing is None:
                return
            if time.time() >= trigger.deadline:
                raise TimeoutError(f"Timed out: {state}")
            time.sleep(trigger.poke_interval)
