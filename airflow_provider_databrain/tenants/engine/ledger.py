"""What was provisioned, in a table of the user's own database, so that a run costs what has changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from airflow_provider_databrain.tenants.engine.report import Action
from airflow_provider_databrain.tenants.engine.target import Existing

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

log = logging.getLogger(__name__)

VERSION = 1
"""Of the table's columns."""
MIGRATIONS: dict[int, Callable[[Connection, sa.Table], None]] = {}
"""From the version that is the key to the next one."""
CHUNK = 500
"""Values in one IN list, and rows that are read at a time."""
PATIENCE_SECONDS = 30.0
"""How long a database that fails is asked again."""
CREATION_SECONDS = 10.0
"""How long making the table is tried again, where others do the same."""
ID_LIMIT = 255
"""Characters of a tenant's key or dashboard's id."""
ERROR_LIMIT = 1000
"""Characters of an error's message that are kept."""


class LedgerError(Exception):
    """The ledger cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One tenant's line.

    :param tenant: its key.
    :param dashboard_id: the dashboard's id; where none was ever made, the one that was wanted, if known.
    :param spec_hash: of what the dashboard was last made; None where there is no dashboard.
    :param input_hash: of the row and spec that it was made from.
    :param status: what was last done.
    :param attempts: tries of the last change, the good one included.
    :param first_change: UTC, without a zone.
    :param run_id: of the Dag run that last changed it.
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
        """The dashboard, where there is one."""
        if self.spec_hash is None or self.dashboard_id is None:
            return None
        return Existing(self.dashboard_id, self.embed_id or self.dashboard_id, self.spec_hash)


FIELDS = tuple(Entry.__dataclass_fields__)


class Ledger:
    """The ledger's table, for one vendor and one data app or project of it. No method is for an event loop.

    :param table: name, optionally with schema.
    :param system: the vendor.
    :param scope: the data app or project.
    :param dag_id: noted with each change, as ``run_id`` is.
    """

    def __init__(
        self, engine: Engine, table: str, *, system: str, scope: str, dag_id: str = "", run_id: str = ""
    ) -> None:
        self._engine = engine
        self.name = table
        self._system = system
        self._scope = scope
        self.dag_id = dag_id
        self.run_id = run_id
        self._table = _define(table)
        self._versions = _define_versions(self._table)
        self._there = False

    def open(self, *, create: bool = True) -> None:
        """Make the table on first use, or bring an older one up to date; check that it can be written.

        :param create: False changes nothing: a table that is not there counts as empty.
        :raises LedgerError: it is not ours, of a newer version, or cannot be read or written.
        """
        try:
            found = self._version()
            if found is None and create:
                self._create()
                found = self._version()
            if found is not None:
                self._check(found, create=create)
                self._there = True
        except SQLAlchemyError as error:
            raise self._failed("cannot be opened", error) from None

    def entries(self, tenants: Sequence[str]) -> dict[str, Entry]:
        """What is known of these tenants."""
        return {entry.tenant: entry for part in _chunks(tenants) for entry in self._select(self._table.c.tenant, part)}

    def holders(self, dashboard_ids: Sequence[str]) -> dict[str, str]:
        """Of these dashboards, those that belong to a tenant: dashboard id to tenant."""
        table = self._table
        return {
            str(entry.dashboard_id): entry.tenant
            for part in _chunks(dashboard_ids)
            for entry in self._select(table.c.dashboard_id, part, table.c.spec_hash.is_not(None))
        }

    def sharers(self, embed_ids: Sequence[str]) -> dict[str, set[str]]:
        """Whose these are: what the vendor calls the thing to be deleted, to the tenants that have it."""
        table = self._table
        found: dict[str, set[str]] = {}
        for part in _chunks(embed_ids):
            for entry in self._select(table.c.embed_id, part, table.c.spec_hash.is_not(None)):
                found.setdefault(str(entry.embed_id), set()).add(entry.tenant)
        return found

    def shared(self) -> dict[str, set[str]]:
        """What more than one tenant has, as ``sharers`` tells it."""
        if not self._there:
            return {}
        table = self._table
        live = (*self._mine(), table.c.spec_hash.is_not(None))
        several = sa.select(table.c.embed_id).where(*live).group_by(table.c.embed_id).having(sa.func.count() > 1)
        found: dict[str, set[str]] = {}
        for entry in self._read(sa.select(*self._columns()).where(*live, table.c.embed_id.in_(several))):
            found.setdefault(str(entry.embed_id), set()).add(entry.tenant)
        return found

    def live(self) -> Iterator[Entry]:
        """Every entry with a dashboard, by tenant, streamed."""
        if not self._there:
            return
        table = self._table
        after: str | None = None
        while True:
            # Page by page, so that the entries may be changed meanwhile.
            beyond = [] if after is None else [table.c.tenant > after]
            statement = (
                sa.select(*self._columns())
                .where(*self._mine(), table.c.spec_hash.is_not(None), *beyond)
                .order_by(table.c.tenant)
                .limit(CHUNK)
            )
            page = self._read(statement)
            yield from page
            if len(page) < CHUNK:
                return
            after = page[-1].tenant

    def write(self, entries: Iterable[Entry]) -> None:
        """Replace these tenants' entries, in one transaction; a database that fails is asked again for a while.

        :raises LedgerError: it went on failing.
        """
        rows = {entry.tenant: entry for entry in entries}
        if not rows:
            return
        retrying = Retrying(
            retry=retry_if_exception_type(DBAPIError),
            stop=stop_after_delay(PATIENCE_SECONDS),
            wait=wait_random_exponential(multiplier=0.05, max=2),
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            retrying(self._replace, list(rows.values()))
        except (SQLAlchemyError, ValueError) as error:
            raise self._failed(f"could not take the outcome of {len(rows)} tenants", error) from None

    def _replace(self, entries: Sequence[Entry]) -> None:
        own = {"system": self._system, "scope": self._scope}
        with self._engine.begin() as connection:
            for part in _chunks([entry.tenant for entry in entries]):
                connection.execute(sa.delete(self._table).where(*self._mine(), self._table.c.tenant.in_(part)))
            connection.execute(
                sa.insert(self._table),
                [{**own, **{name: getattr(entry, name) for name in FIELDS}} for entry in entries],
            )

    def entry(
        self,
        tenant: str,
        before: Entry | None,
        action: Action,
        *,
        existing: Existing | None,
        input_hash: str | None,
        wanted_id: str | None = None,
        error: str | None = None,
    ) -> Entry:
        """A tenant's new entry.

        :param before: the one that it replaces.
        :param existing: the dashboard as it is now, None for none.
        :param wanted_id: the dashboard's id where there is none.
        """
        now = datetime.now(UTC).replace(tzinfo=None)
        failed_before = before.attempts if before and before.status == Action.FAILED else 0
        return Entry(
            tenant=tenant,
            dashboard_id=existing.dashboard_id if existing else wanted_id,
            embed_id=existing.embed_id if existing else None,
            spec_hash=existing.spec_hash if existing else None,
            input_hash=input_hash,
            status=action.value,
            last_error=_storable(error)[:ERROR_LIMIT] if error else None,
            attempts=failed_before + 1,
            first_change=before.first_change if before else now,
            # A clock that was set back, or another worker's, makes no entry older than it was.
            last_change=max(now, before.last_change) if before else now,
            dag_id=self.dag_id,
            run_id=self.run_id,
        )

    def _mine(self) -> list[Any]:
        return [self._table.c.system == self._system, self._table.c.scope == self._scope]

    def _columns(self) -> list[Any]:
        return [self._table.c[name] for name in FIELDS]

    def _select(self, column: Any, values: Sequence[str], *more: Any) -> list[Entry]:
        if not self._there or not values:
            return []
        return self._read(sa.select(*self._columns()).where(*self._mine(), column.in_(values), *more))

    def _read(self, statement: Any) -> list[Entry]:
        try:
            with self._engine.connect() as connection:
                return [Entry(*row) for row in connection.execute(statement)]
        except (SQLAlchemyError, ValueError) as error:
            # The latter is a driver's, about text that the database cannot hold.
            raise self._failed("cannot be read", error) from None

    def _version(self) -> int | None:
        """The version of the table that is there; None where there is none."""
        inspector = sa.inspect(self._engine)
        there = inspector.has_table(self._table.name, schema=self._table.schema)
        if not inspector.has_table(self._versions.name, schema=self._versions.schema):
            if there:
                raise LedgerError(
                    f"table {self.name!r} is there, but is no ledger of ours (it has no {self._versions.name!r} "
                    "beside it): give another ledger_table."
                )
            return None
        with self._engine.connect() as connection:
            found = connection.execute(sa.select(sa.func.max(self._versions.c.version))).scalar()
        return int(found) if there and found is not None else None

    def _create(self) -> None:
        """Make both tables; other tasks may be doing the same at this moment."""

        def attempt() -> None:
            self._versions.create(self._engine, checkfirst=True)
            there = sa.inspect(self._engine).has_table(self._table.name, schema=self._table.schema)
            with self._engine.begin() as connection:
                if not there:
                    # Of a table that was dropped: the new one is of our version.
                    connection.execute(sa.delete(self._versions).where(self._versions.c.version != VERSION))
                if connection.execute(sa.select(sa.func.count()).select_from(self._versions)).scalar() == 0:
                    connection.execute(sa.insert(self._versions), [{"version": VERSION}])
            self._table.create(self._engine, checkfirst=True)

        Retrying(
            retry=retry_if_exception_type(DBAPIError),
            stop=stop_after_delay(CREATION_SECONDS),
            wait=wait_random_exponential(multiplier=0.05, max=1),
            reraise=True,
        )(attempt)

    def _check(self, found: int, *, create: bool) -> None:
        if found > VERSION:
            raise LedgerError(
                f"table {self.name!r} is of version {found}, this provider knows up to {VERSION}: upgrade "
                "airflow-provider-databrain, or give another ledger_table."
            )
        if found < VERSION and create:
            self._migrate(found)
        columns = {
            column["name"]: column
            for column in sa.inspect(self._engine).get_columns(self._table.name, self._table.schema)
        }
        if missing := [column.name for column in self._table.columns if column.name not in columns]:
            raise LedgerError(f"table {self.name!r} lacks the columns {', '.join(missing)}: give another ledger_table.")
        needed = [
            name
            for name, column in columns.items()
            if name not in self._table.columns and not column["nullable"] and column.get("default") is None
        ]
        if needed:
            raise LedgerError(
                f"table {self.name!r} has columns that are not ours and must be filled: {', '.join(needed)}. "
                "Make them nullable, give them a default, or give another ledger_table."
            )
        if create:
            self._check_writable()

    def _check_writable(self) -> None:
        """Insert and delete nothing: a database that would refuse it later refuses it now."""
        nothing = sa.select(*self._table.columns).where(sa.false())
        with self._engine.begin() as connection:
            connection.execute(sa.delete(self._table).where(sa.false()))
            connection.execute(
                sa.insert(self._table).from_select([column.name for column in self._table.columns], nothing)
            )

    def _migrate(self, found: int) -> None:
        for version in range(found, VERSION):
            with self._engine.begin() as connection:
                step = sa.update(self._versions).where(self._versions.c.version == version).values(version=version + 1)
                # Whoever moves the number makes the change; others wait for it and find nothing to move.
                if connection.execute(step).rowcount:
                    MIGRATIONS[version](connection, self._table)
                    log.info("Ledger %r was brought from version %d to %d", self.name, version, version + 1)

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, IntegrityError):
            log.warning("Ledger %r: %s; next try in %.1f s", self.name, _words(error), state.upcoming_sleep)

    def _failed(self, what: str, error: Exception) -> LedgerError:
        return LedgerError(f"the ledger, table {self.name!r}, {what}: {_words(error)}")


def _define(name: str) -> sa.Table:
    *schema, table = name.split(".")
    when = sa.DateTime()
    return sa.Table(
        table,
        sa.MetaData(),
        sa.Column("system", sa.String(32), primary_key=True),
        sa.Column("scope", sa.String(ID_LIMIT), primary_key=True),
        sa.Column("tenant", sa.String(ID_LIMIT), primary_key=True),
        sa.Column("dashboard_id", sa.String(ID_LIMIT)),
        sa.Column("embed_id", sa.String(ID_LIMIT)),
        sa.Column("spec_hash", sa.String(200)),
        sa.Column("input_hash", sa.String(64)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("first_change", when, nullable=False),
        sa.Column("last_change", when, nullable=False),
        sa.Column("dag_id", sa.String(250), nullable=False),
        sa.Column("run_id", sa.String(250), nullable=False),
        sa.Index(f"{table}_dashboard", "system", "scope", "dashboard_id"),
        schema=".".join(schema) or None,
    )


def _define_versions(ledger: sa.Table) -> sa.Table:
    return sa.Table(
        f"{ledger.name}_version",
        sa.MetaData(),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        schema=ledger.schema,
    )


def _chunks(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


def _words(error: object) -> str:
    """What the database says, without the statement and its values."""
    said = getattr(error, "orig", None) or error
    lines = str(said).strip().splitlines()
    return lines[0] if lines else type(said).__name__


def _storable(text: str) -> str:
    """The text without what some database refuses: a NUL, or half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
