"""The progress of a batch while it runs: a log line every few seconds, and Airflow's metrics."""

from __future__ import annotations

import logging
import time
from collections import Counter
from datetime import timedelta
from typing import Any

from airflow_provider_databrain.airflow_compat import Stats
from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.client.errors import ApiError, RateLimitedError
from airflow_provider_databrain.tenants.engine.report import Action, Report

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 5.0
METRIC_PREFIX = "tenant_dashboards"


class Progress:
    """Counts tries and outcomes, and reports them every ``PROGRESS_SECONDS``.

    Metrics, all with the prefix ``tenant_dashboards.``: the counters ``calls``, ``retries``, ``rate_limited``,
    ``call_failures`` and ``outcomes.<action>``, and the timer ``call_duration``. Each has the tag ``system``.

    :param total: tenants that need work.
    """

    def __init__(self, system: str, report: Report, total: int) -> None:
        self._tags = {"system": system}
        self._report = report
        self._total = total
        self.finished = 0
        self._logged = 0
        self._logged_at = time.monotonic()
        self._next = self._logged_at + PROGRESS_SECONDS
        self._pending: Counter[str] = Counter()

    def tried(self, request: Request[Any], seconds: float, error: ApiError | None) -> None:
        """Count one try of a call; to be used as ``watch`` of a transport."""
        self._pending["calls"] += 1
        if error is not None:
            self._pending["rate_limited" if isinstance(error, RateLimitedError) else "call_failures"] += 1
            if error.transient:
                # A call that failed in a transient way is tried again, except after its last try.
                self._pending["retries"] += 1
        Stats.timing(f"{METRIC_PREFIX}.call_duration", timedelta(seconds=seconds), tags=self._tags)

    def done(self, action: Action) -> None:
        """Count one tenant's outcome."""
        self.finished += 1
        self._pending[f"outcomes.{action.value}"] += 1
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PROGRESS_SECONDS
            self._log(now)

    def flush(self) -> None:
        """Send the counters."""
        for name, count in self._pending.items():
            Stats.incr(f"{METRIC_PREFIX}.{name}", count, tags=self._tags)
        self._pending.clear()

    def _log(self, now: float) -> None:
        rate = (self.finished - self._logged) / max(now - self._logged_at, 1e-3)
        self._logged, self._logged_at = self.finished, now
        log.info(
            "%d of %d tenants done (%.0f a second), %d remaining, %d failed",
            self.finished,
            self._total,
            rate,
            self._total - self.finished,
            self._report.counted[Action.FAILED],
        )
        self.flush()
