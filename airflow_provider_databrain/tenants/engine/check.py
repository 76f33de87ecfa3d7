"""The first pass over a batch: each row is checked and held against the ledger; what needs work is set aside.

Nothing is sent before the pass is over. What it sets aside goes through a temporary file, so memory does not grow with
the batch, and what is sent later is what was checked.
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
"""Rows that are held against the ledger at a time."""
DONE_HERE = (Action.CREATED, Action.ADOPTED, Action.UPDATED)


class Work(NamedTuple, Generic[WantedT]):
    """A tenant whose dashboard is not, or may not be, as the table says.

    :param entry: what the ledger knows of it.
    :param input_hash: of the row and spec it shall be made from.
    """

    desired: Desired[WantedT]
    entry: Entry | None
    input_hash: str


@dataclass
class CheckedBatch(Generic[WantedT]):
    """A batch after its first pass.

    :param report: has the unchanged and inactive tenants; ``ids`` names every active tenant in the table's order, the
        ones that need work with an empty id.
    :param work: the tenants that need work.
    :param renewed: entries to be written though nothing is to be sent: the row changed, but nothing that can be changed
        at the vendor's.
    """

    report: Report
    work: Spool[Work[WantedT]]
    renewed: Spool[Entry]

    def __enter__(self) -> CheckedBatch[WantedT]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.work.close()
        self.renewed.close()


class _Checker(Generic[WantedT]):
    def __init__(
        self, target: Target[WantedT], spec: Spec, ledger: Ledger | None, checked: CheckedBatch[WantedT]
    ) -> None:
        self._target = target
        self._spec = spec
        self._ledger = ledger
        self._checked = checked
        self._hash = InputHash(spec, target.options)
        self._holders: dict[str, str] = {}
        self._places: dict[str, str] = {}
        self._pairs: set[frozenset[str]] = set()
        self._problems = Problems()

    def check(self, rows: list[TenantRow]) -> None:
        """Sort one chunk of rows into unchanged ones and work."""
        report = self._checked.report
        entries = self._ledger.entries([row.tenant for row in rows if row.active]) if self._ledger else {}
        fresh: dict[str, str] = {}
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
            if same and entry and entry.status in _SETTLED and entry.dashboard_id:
                self._claim(self._holders, entry.dashboard_id, tenant)
                self._unchanged(entry)
                continue
            try:
                self._consider(tenant, row, entry, input_hash, fresh)
            except SpecError as error:
                self._problems.add(str(error))
        if fresh and self._ledger:
            for dashboard_id, holder in self._ledger.tenants_by_dashboard(list(fresh)).items():
                if holder != fresh[dashboard_id]:
                    self._shared(holder, fresh[dashboard_id], f"dashboard id {dashboard_id!r}")

    def _consider(
        self, tenant: str, row: Mapping[str, Any], entry: Entry | None, input_hash: str | None, fresh: dict[str, str]
    ) -> None:
        fields = fill(self._spec, row, tenant)
        desired = self._target.desire(tenant, fields)
        if input_hash is None:
            input_hash = self._hash.of_fields(fields)
        if self._ledger and max(len(tenant), len(desired.dashboard_id or "")) > ID_LIMIT:
            raise SpecError(f"tenant {tenant!r}: key or dashboard id has more than {ID_LIMIT} characters")
        existing = entry.existing if entry else None
        if desired.place is not None:
            self._claim(self._places, desired.place, tenant, desired.place)
        if desired.dashboard_id is not None:
            self._claim(self._holders, desired.dashboard_id, tenant)
            if existing is None:
                fresh[desired.dashboard_id] = tenant
        # After a failure the dashboard may be other than the ledger says: what failed may have been done.
        if entry and existing and not self._target.differs(desired, existing) and entry.status in _SETTLED:
            self._unchanged(entry)
            if entry.input_hash != input_hash:
                self._checked.renewed.append(replace(entry, input_hash=input_hash, last_error=None))
            return
        self._checked.work.append(Work(desired, entry, input_hash))

    def _unchanged(self, entry: Entry) -> None:
        ledger = self._ledger
        report = self._checked.report
        report.set_dashboard(entry.tenant, str(entry.dashboard_id), entry.embed_id)
        mine = ledger is not None and entry.run_id and (entry.dag_id, entry.run_id) == (ledger.dag_id, ledger.run_id)
        # What an earlier try in the same Dag run did counts as what it was.
        report.count(Action(entry.status) if mine and entry.status in DONE_HERE else Action.UNCHANGED)

    def _claim(self, holders: dict[str, str], key: str, tenant: str, words: str | None = None) -> None:
        first = holders.setdefault(key, tenant)
        if first != tenant:
            self._shared(first, tenant, words or f"dashboard id {key!r}")

    def _shared(self, first: str, second: str, place: str) -> None:
        pair = frozenset((first, second))
        # The batch and the ledger may both show it.
        if pair not in self._pairs:
            self._pairs.add(pair)
            self._problems.add(f"tenants {first!r} and {second!r} would share {place}")

    def raise_if_any(self) -> None:
        """Raise ``SpecError`` where a row or the spec cannot be used."""
        self._problems.raise_if_any(
            SpecError,
            f"{self._problems.count} of {self._checked.report.total} tenants cannot be provisioned; nothing was sent.",
        )


_SETTLED = frozenset({Action.CREATED, Action.ADOPTED, Action.UPDATED, Action.UNCHANGED})


def check_batch(
    rows: Iterable[TenantRow],
    spec: Spec,
    target: Target[WantedT],
    ledger: Ledger | None = None,
    *,
    keeps_embed_ids: bool = False,
) -> CheckedBatch[WantedT]:
    """Check every row of a batch and set aside what needs work. Sends nothing, writes nothing.

    :param keeps_embed_ids: see ``Report``.

    :raises SpecError: names every tenant (up to ten) whose row or spec cannot be used, or two that would share a
        dashboard id, in this batch or with another tenant of the ledger's.
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
