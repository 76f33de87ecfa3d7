"""What became of each tenant, and what a task hands on of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypedDict

SHOWN = 5
"""Failures that a task's own message names; all of them are in the log and in XCom."""


class Action(StrEnum):
    """What was done for a tenant."""

    CREATED = "created"
    ADOPTED = "adopted"
    FAILED = "failed"


class Failure(TypedDict):
    """A failed tenant, as it goes through XCom."""

    tenant: str
    dashboard_id: str
    error: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """What became of one tenant.

    :param embed_id: the embed's id; None where it failed.
    :param error: the exception that ended it, for a failure.
    """

    tenant: str
    dashboard_id: str
    action: Action
    embed_id: str | None = None
    error: Exception | None = None

    def as_failure(self) -> Failure:
        """The failure's XCom form."""
        return Failure(
            tenant=self.tenant,
            dashboard_id=self.dashboard_id,
            error=type(self.error).__name__,
            message=str(self.error),
        )


class ProvisioningError(Exception):
    """Some tenants of a batch have no dashboard. The others do, and their ids are in XCom.

    :param failures: every failed tenant.
    :param retry_after: seconds, the longest wait that the server asked for in any of them.
    """

    def __init__(self, failures: Sequence[Failure], total: int, *, retry_after: float | None = None) -> None:
        self.failures = list(failures)
        self.retry_after = retry_after
        first = "\n".join(f"- {failure['tenant']!r}: {failure['message']}" for failure in self.failures[:SHOWN])
        rest = len(self.failures) - SHOWN
        more = f"\nand {rest} more: see the log or this task's XCom 'failures'" if rest > 0 else ""
        super().__init__(f"{len(self.failures)} of {total} tenants failed:\n{first}{more}")


@dataclass(frozen=True)
class Report:
    """The outcomes of one batch."""

    outcomes: Sequence[Outcome]

    def ids(self) -> dict[str, str]:
        """Tenant to dashboard id, for all that have one."""
        return {
            outcome.tenant: outcome.dashboard_id for outcome in self.outcomes if outcome.action is not Action.FAILED
        }

    def counts(self) -> dict[str, int]:
        """How many tenants came to which end; every action is named."""
        counted = Counter(outcome.action for outcome in self.outcomes)
        return {action.value: counted[action] for action in Action}

    def failures(self) -> list[Failure]:
        """The failed tenants."""
        return [outcome.as_failure() for outcome in self.outcomes if outcome.action is Action.FAILED]

    def raise_for_failures(self) -> None:
        """Raise ``ProvisioningError`` where a tenant failed."""
        if failures := self.failures():
            waits = [getattr(outcome.error, "retry_after", None) or 0.0 for outcome in self.outcomes]
            raise ProvisioningError(failures, len(self.outcomes), retry_after=max(waits) or None)
