"""The base of every vendor's sensors.

A sensor means the same in poke mode, in reschedule mode and deferred. What it asks, and what is still missing, is
defined once, in its trigger (``base.trigger.PollTrigger``); the sensor polls with that trigger's own methods.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    Context,
    conf,
)
from airflow_provider_databrain.base.arguments import ReadsArguments
from airflow_provider_databrain.portable import Portable
from airflow_provider_databrain.printable import printable

if TYPE_CHECKING:
    from airflow_provider_databrain.base.trigger import PollTrigger

GRACE = timedelta(seconds=60)
"""Airflow gives up this much later than the trigger, so that the trigger's own message arrives."""


class PollSensor(ReadsArguments, BaseSensorOperator):
    """Base of the sensors that poll an API.

    A poll that fails for a transient reason (network, rate limit, 5xx) counts as "not yet", up to
    ``max_transient_failures`` times in a row. In reschedule mode it counts so until the timeout, because a sensor
    remembers nothing from one poke to the next. Any other error fails the task at once. ``soft_fail``,
    ``silent_fail`` and ``never_fail`` mean the same in all modes. ``exponential_backoff`` has no effect if the sensor
    is deferred.

    :param max_transient_failures: maximum polls in a row that may fail for a transient reason, or with a status that
        may not be the API's own answer.
    :param deferrable: wait on the triggerer, without a worker.
    :param connect_timeout: in seconds; replaces the connection's value.
    :param read_timeout: in seconds; replaces the connection's value.
    :param max_retry_seconds: seconds from the first try of one poll after which no other try starts; replaces the
        connection's value.
    :param max_call_seconds: seconds that one try of a call may take as a whole; replaces the connection's value.
    """

    def __init__(
        self,
        *,
        max_transient_failures: int = 5,
        connect_timeout: float | None = None,
        read_timeout: float | None = None,
        max_retry_seconds: float | None = None,
        max_call_seconds: float | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.max_transient_failures = max_transient_failures
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.max_retry_seconds = max_retry_seconds
        self.max_call_seconds = max_call_seconds
        self.deferrable = deferrable
        self._failures = 0

    @abstractmethod
    def trigger(self, **polling: Any) -> PollTrigger:
        """Make the trigger that defines the wait, on the triggerer or here.

        :param polling: the arguments of ``PollTrigger``.
        """

    def poke(self, context: Context) -> bool:
        """Poll once; True if the wait is over."""
        from airflow_provider_databrain.client.errors import ApiError

        trigger = self._trigger()
        hook = trigger.hook()
        try:
            answer = hook.run(trigger.call(hook))
        except ApiError as error:
            self._failures += 1
            if not error.may_pass or self._failures > self.max_transient_failures:
                raise
            self.log.warning("Poll failed (%d in a row): %s", self._failures, error)
            return False
        finally:
            hook.close()
        self._failures = 0
        missing = trigger.unmet(answer)
        self.log.info("%s", printable(f"{trigger.subject(hook)}: {missing or 'the wait is over'}"))
        return missing is None

    def execute(self, context: Context) -> None:
        """Wait here or, if ``deferrable``, on the triggerer."""
        if not self.deferrable:
            super().execute(context)
        elif not self._is_met(context):
            limit = timedelta(seconds=float(self.timeout))
            self.defer(trigger=self._trigger(), method_name="execute_complete", timeout=limit + GRACE)

    def _is_met(self, context: Context) -> bool:
        try:
            return self.poke(context)
        except Exception as error:
            if not self.silent_fail:
                if self.never_fail:
                    raise AirflowSkipException(f"The first poke failed: {printable(str(error))}") from error
                raise
            self.log.warning("The first poke failed: %s", printable(str(error)))
            return False

    def _trigger(self) -> PollTrigger:
        # Also for a caller of ``poke``.
        self.read_arguments()
        return self.trigger(
            poke_interval=float(self.poke_interval),
            deadline=time.time() + float(self.timeout),
            max_transient_failures=self.max_transient_failures,
            silent_fail=self.silent_fail,
            timeouts={
                "connect_timeout": self.connect_timeout,
                "read_timeout": self.read_timeout,
                "max_retry_seconds": self.max_retry_seconds,
                "max_call_seconds": self.max_call_seconds,
            },
        )

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> None:
        """End as the trigger's event says. An unknown event is a failure."""
        status = (event or {}).get("status")
        message = printable(str((event or {}).get("message", "the trigger sent no message")))
        if status == "success":
            self.log.info("%s", message)
        elif self.never_fail or (status == "timeout" and self.soft_fail):
            raise AirflowSkipException(f"Timed out: {message}" if status == "timeout" else f"Failed: {message}")
        elif status == "timeout":
            raise AirflowSensorTimeout(f"Timed out: {message}")
        else:
            raise WaitError(f"The wait ended without a result: {message} (event {status!r})")


class WaitError(Portable, Exception):
    """A deferred wait ended in an error on the triggerer. The message contains that error."""
