"""The outcome of one tenant: what one run of the engine did for it, and what the ledger records of that.

``apply`` and ``removal`` make one for each tenant and give it to ``workers``, which counts and records it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_provider_databrain.tenants.engine.ledger import Entry
from airflow_provider_databrain.tenants.engine.report import Action, error_text
from airflow_provider_databrain.tenants.engine.target import Existing


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done for one tenant.

    :param tenant: its key.
    :param action: what was done; ``failed`` if ``error`` is set.
    :param before: its ledger entry before; None if the ledger does not know it.
    :param existing: its dashboard as it is now; None if it has none.
    :param wanted_id: the dashboard id that the spec asks for; recorded if the tenant has no dashboard.
    :param input_hash: the hash of the row and spec that the dashboard was made from.
    :param error: why it failed.
    """

    tenant: str
    action: Action
    before: Entry | None = None
    existing: Existing | None = None
    wanted_id: str | None = None
    input_hash: str | None = None
    error: Exception | None = None

    @classmethod
    def failure(cls, tenant: str, before: Entry | None, wanted_id: str | None, error: Exception) -> Outcome:
        """The outcome of a tenant that failed; its dashboard, if it has one, is as the ledger says."""
        return cls(tenant, Action.FAILED, before, before.existing if before else None, wanted_id, error=error)

    @property
    def dashboard_id(self) -> str | None:
        """The id of the dashboard, or the wanted one if there is no dashboard."""
        return self.existing.dashboard_id if self.existing else self.wanted_id

    def entry(self, *, dag_id: str, run_id: str) -> Entry:
        """The tenant's new ledger entry."""
        before, existing = self.before, self.existing
        now = datetime.now(UTC).replace(tzinfo=None)
        message = "" if self.error is None else error_text(self.error)
        failed_before = before.attempts if before and before.status == Action.FAILED else 0
        return Entry(
            tenant=self.tenant,
            dashboard_id=self.dashboard_id,
            embed_id=existing.embed_id if existing else None,
            spec_hash=existing.spec_hash if existing else None,
            input_hash=self.input_hash,
            status=self.action.value,
            last_error=message or None,
            attempts=failed_before + 1,
            first_change=before.first_change if before else now,
            # A clock that was set back, or another worker's clock, must not make an entry older than it was.
            last_change=max(now, before.last_change) if before else now,
            dag_id=dag_id,
            run_id=run_id,
        )
