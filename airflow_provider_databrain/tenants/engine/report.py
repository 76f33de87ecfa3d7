"""What happened to each tenant of a batch, and what the task returns: XCom values and an error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypedDict

from airflow_provider_databrain.portable import Portable
from airflow_provider_databrain.printable import printable

SHOWN = 5
"""Failures that an error message names at most."""
KEPT = 1000
"""Failures that go to XCom at most; the log and the ledger have all of them."""

ERROR_LIMIT = 1000
"""Characters of an error message that the ledger and XCom keep."""


class Action(StrEnum):
    """What was done for a tenant."""

    CREATED = "created"
    ADOPTED = "adopted"
    UPDATED = "updated"
    DELETED = "deleted"
    UNCHANGED = "unchanged"
    INACTIVE = "inactive"
    FAILED = "failed"


class Failure(TypedDict):
    """A failed tenant, as it is stored in XCom."""

    tenant: str
    dashboard_id: str
    error: str
    message: str


class Planned(TypedDict):
    """What a dry run would do for a tenant: ``create``, ``adopt``, ``update`` or ``delete``."""

    tenant: str
    dashboard_id: str | None
    action: str


class ProvisioningError(Portable, Exception):
    """Some tenants of a batch failed or were not finished. The others are done, and their ids are in XCom.

    :param failures: the failed tenants, at most ``KEPT``.
    :param total: tenants in the batch.
    :param failed: how many failed.
    :param left: how many were not finished, because the task was stopped.
    :param why: what stopped it.
    :param retry_after: seconds; the longest wait that the server asked for in one of the failures.
    """

    def __init__(
        self,
        failures: Sequence[Failure],
        total: int,
        *,
        failed: int | None = None,
        left: int = 0,
        why: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.failures = list(failures)
        self.failed = len(self.failures) if failed is None else failed
        self.left = left
        self.retry_after = retry_after
        lines = []
        if self.failed:
            first = "\n".join(f"- {failure['tenant']!r}: {failure['message']}" for failure in self.failures[:SHOWN])
            lines.append(f"{self.failed} of {total} tenants failed:\n{first}")
        rest = self.failed - SHOWN
        if rest > 0:
            lines.append(f"and {rest} more: see the log, this task's XCom 'failures', or the ledger")
        if why:
            lines.append(f"{why}; {left} of {total} tenants were not finished. The next try continues with them.")
        super().__init__("\n".join(lines))


@dataclass
class Report:
    """What happened to one batch.

    :param ids: tenant to dashboard id, for every tenant that has a dashboard.
    :param total: tenants in the batch, including inactive ones.
    :param left: tenants that were not finished.
    :param why: what stopped the task before the end.
    :param wait: seconds that the server asked to wait, if that stopped the task.
    :param retry_after: seconds; the longest wait that the server asked for in one of the failures.
    :param planned: what a dry run would do.
    :param embed_ids: tenant to what the vendor calls the thing that is changed or deleted, if ``keeps_embed_ids``.
    """

    ids: dict[str, str] = field(default_factory=dict)
    counted: Counter[Action] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    total: int = 0
    left: int = 0
    why: str | None = None
    wait: float | None = None
    retry_after: float | None = None
    planned: list[Planned] = field(default_factory=list)
    embed_ids: dict[str, str] = field(default_factory=dict)
    keeps_embed_ids: bool = False

    def set_dashboard(self, tenant: str, dashboard_id: str, embed_id: str | None) -> None:
        """Note a tenant's dashboard."""
        self.ids[tenant] = dashboard_id
        if self.keeps_embed_ids:
            self.embed_ids[tenant] = embed_id or dashboard_id

    def count(self, action: Action) -> None:
        """Count what was done for a tenant."""
        self.counted[action] += 1

    def fail(self, tenant: str, dashboard_id: str | None, error: Exception) -> None:
        """Count and note a tenant that failed."""
        self.counted[Action.FAILED] += 1
        if len(self.failures) < KEPT:
            message = error_text(error)
            self.failures.append(
                Failure(
                    tenant=tenant,
                    dashboard_id=storable(dashboard_id or ""),
                    error=type(error).__name__,
                    message=message,
                )
            )
        if wait := getattr(error, "retry_after", None):
            self.retry_after = max(wait, self.retry_after or 0.0)

    def refuse(self, tenant: str, error: Exception) -> None:
        """Do not hand on a tenant's dashboard, and note the tenant as failed besides what was done for it."""
        self.embed_ids.pop(tenant, None)
        self.fail(tenant, self.ids.pop(tenant), error)

    def close(self, why: str | None = None, wait: float | None = None, *, left: int = 0) -> None:
        """End the report: only tenants that have a dashboard keep an id.

        :param why: what stopped the batch before the end, if it was stopped.
        """
        for tenant in [tenant for tenant, dashboard_id in self.ids.items() if not dashboard_id]:
            del self.ids[tenant]
        self.why, self.wait, self.left = why, wait, left

    def counts(self) -> dict[str, int]:
        """Number of tenants for each action; every action is named."""
        return {action.value: self.counted[action] for action in Action}

    def raise_for_failures(self) -> None:
        """Raise ``ProvisioningError`` if a tenant failed or was not finished."""
        failed = self.counted[Action.FAILED]
        if failed or self.why:
            raise ProvisioningError(
                self.failures, self.total, failed=failed, left=self.left, why=self.why, retry_after=self.retry_after
            )


def error_text(error: BaseException) -> str:
    """An error's text in ledger, XCom and the task's error: one line, at most ``ERROR_LIMIT`` characters."""
    return printable(storable(str(error)))[:ERROR_LIMIT]


def storable(text: str) -> str:
    """The string without what some databases refuse, Airflow's too: a NUL, or half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
