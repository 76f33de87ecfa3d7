"""The ledger: what was provisioned, in a table of the user's database, so that a run only costs what has changed.

Theory of operation
===================

What always holds:

- There is one entry for each tenant of a vendor and scope. It says which dashboard the tenant has and from which spec
  it was made. ``spec_hash`` is set exactly if the tenant has a dashboard.
- A tenant's entry is replaced as a whole, by a delete and an insert in one transaction. Every database can do that;
  upserts have a different syntax in each.
- Nothing depends on the ledger for correctness. If an entry is missing, the engine finds the dashboard at the vendor
  and adopts it. If the dashboard of an entry no longer exists, the next update finds that out and the engine creates it
  again.

What can happen in between: a killed worker loses the entries that it has not written yet. Two workers may write the
same tenant at once, because a task may be tried again while its last worker is still alive; then one transaction fails
and is tried again. The database may be away for a while; a failed transaction is tried again for
``WRITE_RETRY_SECONDS``.

What is relied on: the transactions and the primary key of the database. Clocks are not relied on: the times in an entry
are for people.

The definition and migration of the table are in ``ledger_table``. No method here may run on an event loop, because each
waits for the database.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from airflow_provider_databrain.sql import verbatim
from airflow_provider_databrain.tenants.engine.ledger_table import (
    ID_LIMIT,
    LedgerError,
    LedgerTable,
    database_message,
    ledger_error,
)
from airflow_provider_databrain.tenants.engine.report import ERROR_LIMIT
from airflow_provider_databrain.tenants.engine.target import Existing

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

__all__ = ["Entry", "Ledger", "LedgerError"]

log = logging.getLogger(__name__)

CHUNK = 500
"""Values in one IN list, and rows that are read at a time."""
WRITE_RETRY_SECONDS = 30.0
"""How long a failed transaction is tried again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One tenant's row in the ledger.

    :param tenant: its key.
    :param dashboard_id: the dashboard's id; if no dashboard was ever made, the id that the spec asks for, if known.
    :param embed_id: what the vendor calls the thing that is changed or deleted.
    :param spec_hash: the hash of the spec that the dashboard was last made from; None if there is no dashboard.
    :param input_hash: the hash of the row and spec that it was made from.
    :param status: the last action, a value of ``report.Action``.
    :param attempts: tries of the last change, including the successful one.
    :param first_change: in UTC, without a time zone; ``last_change`` too.
    :param run_id: the Dag run that last changed it.
    """

    tenant: str
    dashboard_id: str | None
    embed_id: str | None
    spec_hash: str | None
    input_hash: str | None
    status: str
    last_error: str | None
    attempts: int
    first_change: datetime
    last_change: datetime
    dag_id: str
    run_id: str

    @property
    def existing(self) -> Existing | None:
        """The tenant's dashboard; None if it has none."""
        if self.spec_hash is None or self.dashboard_id is None:
            return None
        return Existing(self.dashboard_id, self.embed_id or self.dashboard_id, self.spec_hash)


FIELDS = tuple(Entry.__dataclass_fields__)


class Ledger:
    """Reads and writes the entries of one vendor, and of one data app or project of it.

    :param table: the table's name, optionally with the schema; see ``verbatim.split``.
    :param system: the vendor.
    :param scope: the data app or project.
    :param dag_id: recorded with each change, as ``run_id`` is.
    """

    def __init__(
        self, engine: Engine, table: str, *, system: str, scope: str, dag_id: str = "", run_id: str = ""
    ) -> None:
        self.name = table
        self.dag_id = dag_id
        self.run_id = run_id
        self._engine = engine
        self._system = system
        self._scope = scope
        self._ledger_table = LedgerTable(engine, table)
        self._table = self._ledger_table.table
        self._exists = False

    @property
    def delete_statement(self) -> str:
        """The SQL that deletes all entries of this vendor and scope, for a person to run."""
        scope = self._scope.replace("'", "''")
        return f"DELETE FROM {self.name} WHERE system = '{self._system}' AND scope = '{scope}'"  # noqa: S608 - only shown

    def open(self, *, create: bool = True) -> None:
        """Create or migrate the table, and check that it can be written.

        :param create: False changes nothing: a table that does not exist counts as empty.
        :raises LedgerError: the table is not ours, has a newer version, or cannot be read or written; or its name or
            the scope is too long.
        """
        if len(self._scope) > ID_LIMIT:
            raise LedgerError(
                f"the ledger, table {self.name!r}, stores at most {ID_LIMIT} characters for the name of a data app, "
                f"project or connection; here are {len(self._scope)}: {self._scope[:50]!r}..."
            )
        self._exists = self._ledger_table.open(create=create)

    def entries(self, tenants: Sequence[str]) -> dict[str, Entry]:
        """The entries of these tenants: tenant to entry."""
        return {entry.tenant: entry for part in _chunks(tenants) for entry in self._select(self._table.c.tenant, part)}

    def tenants_by_dashboard(self, dashboard_ids: Sequence[str]) -> dict[str, str]:
        """Which of these dashboards belong to a tenant: dashboard id to tenant."""
        table = self._table
        return {
            str(entry.dashboard_id): entry.tenant
            for part in _chunks(dashboard_ids)
            for entry in self._select(table.c.dashboard_id, part, table.c.spec_hash.is_not(None))
        }

    def tenants_by_embed(self, embed_ids: Sequence[str]) -> dict[str, set[str]]:
        """Which of these embed ids belong to tenants: embed id to all tenants that have it."""
        table = self._table
        tenants: dict[str, set[str]] = {}
        for part in _chunks(embed_ids):
            for entry in self._select(table.c.embed_id, part, table.c.spec_hash.is_not(None)):
                tenants.setdefault(str(entry.embed_id), set()).add(entry.tenant)
        return tenants

    def shared_embeds(self) -> dict[str, set[str]]:
        """The embed ids that more than one tenant has: embed id to tenants."""
        if not self._exists:
            return {}
        table = self._table
        live = (*self._own_rows(), table.c.spec_hash.is_not(None))
        repeated = sa.select(table.c.embed_id).where(*live).group_by(table.c.embed_id).having(sa.func.count() > 1)
        tenants: dict[str, set[str]] = {}
        for entry in self._read(sa.select(*self._columns()).where(*live, table.c.embed_id.in_(repeated))):
            tenants.setdefault(str(entry.embed_id), set()).add(entry.tenant)
        return {embed_id: owners for embed_id, owners in tenants.items() if len(owners) > 1}

    def live(self) -> Iterator[Entry]:
        """Stream every entry with a dashboard, ordered by tenant."""
        if not self._exists:
            return
        table = self._table
        after: str | None = None
        while True:
            # Read page by page, so that the entries may change in the meantime.
            beyond = [] if after is None else [table.c.tenant > after]
            statement = (
                sa.select(*self._columns())
                .where(*self._own_rows(), table.c.spec_hash.is_not(None), *beyond)
                .order_by(table.c.tenant)
                .limit(CHUNK)
            )
            page = self._read(statement)
            yield from page
            if len(page) < CHUNK:
                return
            after = page[-1].tenant

    def write(self, entries: Iterable[Entry]) -> None:
        """Replace these tenants' entries in one transaction; a failed transaction is tried again.

        :raises LedgerError: it failed for longer than ``WRITE_RETRY_SECONDS``.
        """
        rows = {entry.tenant: entry for entry in entries}
        if not rows:
            return
        retrying = Retrying(
            retry=retry_if_exception_type(DBAPIError),
            stop=stop_after_delay(WRITE_RETRY_SECONDS),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            before_sleep=self._warn,
            reraise=True,
        )
        try:
            retrying(self._store, list(rows.values()))
        except (SQLAlchemyError, ValueError) as error:
            raise ledger_error(self.name, f"could not store the outcomes of {len(rows)} tenants", error) from None

    def _store(self, entries: Sequence[Entry]) -> None:
        try:
            self._replace(entries)
        except (DataError, ValueError):
            # A database or a connection without Unicode: a message of a vendor may have any character, and must not
            # cost the entries of all tenants.
            plain = [_in_ascii(entry) for entry in entries]
            if plain == list(entries):
                raise
            self._replace(plain)

    def _replace(self, entries: Sequence[Entry]) -> None:
        scope = {"system": self._system, "scope": self._scope}
        with verbatim.begin(self._engine) as connection:
            for part in _chunks([entry.tenant for entry in entries]):
                connection.execute(sa.delete(self._table).where(*self._own_rows(), self._table.c.tenant.in_(part)))
            connection.execute(
                sa.insert(self._table),
                [{**scope, **{name: getattr(entry, name) for name in FIELDS}} for entry in entries],
            )

    def _own_rows(self) -> list[Any]:
        return [self._table.c.system == self._system, self._table.c.scope == self._scope]

    def _columns(self) -> list[Any]:
        return [self._table.c[name] for name in FIELDS]

    def _select(self, column: Any, values: Sequence[str], *more: Any) -> list[Entry]:
        if not self._exists or not values:
            return []
        wanted = set(values)
        found = self._read(sa.select(*self._columns()).where(*self._own_rows(), column.in_(values), *more))
        # A database may find strings that it treats as equal.
        return [entry for entry in found if getattr(entry, column.name) in wanted]

    def _read(self, statement: Any) -> list[Entry]:
        try:
            with verbatim.connect(self._engine) as connection:
                return [Entry(*row) for row in connection.execute(statement)]
        except (SQLAlchemyError, ValueError) as error:
            # Drivers raise a ValueError for a string that the database cannot store.
            raise ledger_error(self.name, "cannot be read", error) from None

    def _warn(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, IntegrityError):
            log.warning("Ledger %r: %s; next try in %.1f s", self.name, database_message(error), state.upcoming_sleep)


def _in_ascii(entry: Entry) -> Entry:
    error = entry.last_error
    if error is None or error.isascii():
        return entry
    escaped = error.replace("\u2026", "...").encode("ascii", "backslashreplace").decode("ascii")
    return replace(entry, last_error=escaped[:ERROR_LIMIT])


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]
