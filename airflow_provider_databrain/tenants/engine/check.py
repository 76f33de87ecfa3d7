"""The first pass over a batch: check each row, compare it with the ledger, and list the tenants that need work.

What always holds:

- Nothing is sent and nothing is written before all rows of the batch are checked. One bad row stops the whole batch,
  and the error names all bad rows.
- What is sent later is exactly what was checked. The work list goes through a temporary file (``spool``), so memory
  does not grow with the batch, and the connection to the tenant table is closed before the first call.
- A tenant is unchanged if the last run was successful for it and the target finds no difference from the ledger's
  ``spec_hash``. If the ``input_hash`` is the same too, the request is not even built.
- No two tenants of a batch get the same dashboard id or the same place, and no new tenant gets the id of another tenant
  in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from types import TracebackType
from typing import Any, Generic, NamedTuple, TypeVar

from airflow_provider_databrain.tenants.engine.ledger import Entry, Ledger
from airflow_provider_databrain.tenants.engine.ledger_table import ID_LIMIT
from airflow_provider_databrain.tenants.engine.problems import Problems
from airflow_provider_databrain.tenants.engine.report import Action, Report
from airflow_provider_databrain.tenants.engine.spec import InputHash, Spec, SpecError, fill
from airflow_provider_databrain.tenants.engine.spool import Spool
from airflow_provider_databrain.tenants.engine.table import TenantRow
from airflow_provider_databrain.tenants.engine.target import Desired, Target

WantedT = TypeVar("WantedT")

CHUNK = 500
"""Rows that are compared with the ledger at a time."""
CHANGING = (Action.CREATED, Action.ADOPTED, Action.UPDATED)
SUCCESSFUL = frozenset({*CHANGING, Action.UNCHANGED})


class WorkItem(NamedTuple, Generic[WantedT]):
    """A tenant whose dashboard does not exist, or differs from the tenant table, or may differ from it.

    :param entry: its ledger entry; None if the ledger does not know it.
    :param input_hash: the hash of the row and spec that the dashboard is to be made from.
    """

    desired: Desired[WantedT]
    entry: Entry | None
    input_hash: str


@dataclass
class CheckedBatch(Generic[WantedT]):
    """A batch after the first pass.

    :param report: counts the unchanged and inactive tenants. Its ``ids`` names every active tenant, in the table's
        order; the id is empty for a tenant that needs work.
    :param work: the tenants that need work.
    :param new_hashes: ledger entries that get a new ``input_hash`` only: the row changed, but nothing that can be
        changed at the vendor.
    """

    report: Report
    work: Spool[WorkItem[WantedT]]
    new_hashes: Spool[Entry]

    def __enter__(self) -> CheckedBatch[WantedT]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.work.close()
        self.new_hashes.close()


class _Checker(Generic[WantedT]):
    def __init__(
        self, target: Target[WantedT], spec: Spec, ledger: Ledger | None, checked: CheckedBatch[WantedT]
    ) -> None:
        self._target = target
        self._spec = spec
        self._ledger = ledger
        self._checked = checked
        self._hash = InputHash(spec, target.options)
        self._tenant_by_dashboard: dict[str, str] = {}
        self._tenant_by_place: dict[str, str] = {}
        self._conflicts: set[frozenset[str]] = set()
        self._problems = Problems()

    def check(self, rows: list[TenantRow]) -> None:
        """Sort one chunk of rows into unchanged tenants and work."""
        report = self._checked.report
        entries = self._ledger.entries([row.tenant for row in rows if row.active]) if self._ledger else {}
        new_ids: dict[str, str] = {}
        for tenant, row, active in rows:
            report.total += 1
            if not active:
                report.count(Action.INACTIVE)
                continue
            if tenant in report.ids:
                self._problems.add(f"tenant {tenant!r} has more than one row")
                continue
            report.ids[tenant] = ""
            entry = entries.get(tenant)
            input_hash = self._hash.of_row(row)
            # A shortcut: the same row and spec gave the same request the last time.
            same = entry is not None and entry.input_hash == input_hash and not self._target.has_shared_places
            if same and entry and entry.status in SUCCESSFUL and entry.dashboard_id:
                self._claim(self._tenant_by_dashboard, entry.dashboard_id, tenant)
                self._unchanged(entry)
                continue
            try:
                self._check_row(tenant, row, entry, input_hash, new_ids)
            except SpecError as error:
                self._problems.add(str(error))
        if new_ids and self._ledger:
            for dashboard_id, owner in self._ledger.tenants_by_dashboard(list(new_ids)).items():
                if owner != new_ids[dashboard_id]:
                    self._conflict(owner, new_ids[dashboard_id], f"dashboard id {dashboard_id!r}")

    def _check_row(
        self, tenant: str, row: Mapping[str, Any], entry: Entry | None, input_hash: str | None, new_ids: dict[str, str]
    ) -> None:
        fields = fill(self._spec, row, tenant)
        desired = self._target.desire(tenant, fields)
        if input_hash is None:
            input_hash = self._hash.of_fields(fields)
        if self._ledger and max(len(tenant), len(desired.dashboard_id or "")) > ID_LIMIT:
            raise SpecError(f"tenant {tenant!r}: the key or the dashboard id has more than {ID_LIMIT} characters")
        existing = entry.existing if entry else None
        if desired.place is not None:
            self._claim(self._tenant_by_place, desired.place, tenant, desired.place)
        if desired.dashboard_id is not None:
            self._claim(self._tenant_by_dashboard, desired.dashboard_id, tenant)
            if existing is None:
                new_ids[desired.dashboard_id] = tenant
        # After a failure the ledger's ``spec_hash`` may be wrong, because the failed call may have been done.
        if entry and existing and not self._target.differs(desired, existing) and entry.status in SUCCESSFUL:
            self._unchanged(entry)
            if entry.input_hash != input_hash:
                self._checked.new_hashes.append(replace(entry, input_hash=input_hash, last_error=None))
            return
        self._checked.work.append(WorkItem(desired, entry, input_hash))

    def _unchanged(self, entry: Entry) -> None:
        ledger = self._ledger
        report = self._checked.report
        report.set_dashboard(entry.tenant, str(entry.dashboard_id), entry.embed_id)
        run = (entry.dag_id, entry.run_id)
        same_run = ledger is not None and entry.run_id and run == (ledger.dag_id, ledger.run_id)
        # If an earlier try of this Dag run changed the tenant, the change is counted.
        report.count(Action(entry.status) if same_run and entry.status in CHANGING else Action.UNCHANGED)

    def _claim(self, owners: dict[str, str], key: str, tenant: str, name: str | None = None) -> None:
        first = owners.setdefault(key, tenant)
        if first != tenant:
            self._conflict(first, tenant, name or f"dashboard id {key!r}")

    def _conflict(self, first: str, second: str, name: str) -> None:
        pair = frozenset((first, second))
        # The batch and the ledger may both show the same conflict.
        if pair not in self._conflicts:
            self._conflicts.add(pair)
            self._problems.add(f"tenants {first!r} and {second!r} would share {name}")

    def raise_if_any(self) -> None:
        """Raise ``SpecError`` if a row or the spec cannot be used."""
        self._problems.raise_if_any(
            SpecError,
            f"{self._problems.count} of {self._checked.report.total} tenants cannot be provisioned; nothing was sent.",
        )


def check_batch(
    rows: Iterable[TenantRow],
    spec: Spec,
    target: Target[WantedT],
    ledger: Ledger | None = None,
    *,
    keeps_embed_ids: bool = False,
) -> CheckedBatch[WantedT]:
    """Check every row of a batch and list the tenants that need work. Sends nothing, writes nothing.

    :param keeps_embed_ids: see ``Report``.
    :return: the checked batch; use it as a context manager, which deletes its temporary files.
    :raises SpecError: names every tenant (up to ten) whose row or spec cannot be used, and tenants that would share a
        dashboard id or a place, within this batch or with a tenant in the ledger.
    :raises LedgerError: the ledger cannot be read.
    """
    checked = CheckedBatch[WantedT](Report(keeps_embed_ids=keeps_embed_ids), Spool(), Spool())
    with ExitStack() as undo:
        undo.push(checked)
        checker = _Checker(target, spec, ledger, checked)
        stream = iter(rows)
        while chunk := list(islice(stream, CHUNK)):
            checker.check(chunk)
        checker.raise_if_any()
        undo.pop_all()
    return checked
