"""The ledger's table in the user's database: its columns, its creation, its migrations.

What always holds:

- The table stands beside a second one, ``<name>_version``, with one row: the version of the columns. A table without it
  is not ours. It is refused and left unchanged.
- Several tasks may open the ledger at the same moment. Each creates what is missing and tries again if another task was
  faster. A migration is done by the task that raises the version number, in one transaction; the others wait for it.
- After ``open`` the database has proved that it accepts an insert and a delete. So a missing right is reported before
  anything is sent to the vendor.
- The columns with keys and ids distinguish every two strings, whatever the database's own collation does. A ledger
  whose columns do not is refused.
- A dry run (``create=False``) changes nothing. A table that does not exist counts as empty.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from airflow_provider_databrain.portable import Portable
from airflow_provider_databrain.printable import printable
from airflow_provider_databrain.sql import verbatim
from airflow_provider_databrain.tenants.engine.report import ERROR_LIMIT

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Dialect, Engine

log = logging.getLogger(__name__)

VERSION = 1
"""The version of the table's columns."""
MIGRATIONS: dict[int, Callable[[Connection, sa.Table], None]] = {}
"""Each migrates from the version that is its key to the next version."""
CREATE_RETRY_SECONDS = 10.0
"""How long creating the table is tried again, because other tasks may create it at the same time."""
ID_LIMIT = 255
"""Characters of a tenant's key and of a dashboard's id."""

EXACT_COLUMNS = ("scope", "tenant", "dashboard_id", "embed_id")
"""Columns in which no two different strings may be equal."""
EXACT_COLLATIONS = {"mysql": "utf8mb4_bin", "mariadb": "utf8mb4_bin", "mssql": "Latin1_General_100_BIN2"}
"""Databases whose usual collations ignore case, and a collation of theirs that does not."""
_BINARY = re.compile("_bin2?(_|$)|^binary$", re.IGNORECASE)

COUNT_BYTES = ("postgresql", "redshift", "oracle")
"""Databases that count the bytes of a name. The others count characters."""

WITHOUT_TRANSACTIONS = frozenset(
    (
        "athena",
        "awsathena",
        "bigquery",
        "clickhouse",
        "clickhousedb",
        "databricks",
        "drill",
        "druid",
        "hive",
        "impala",
        "pinot",
        "presto",
        "spark",
        "trino",
    )
)
"""Dialects whose connections have no transaction over several statements. The ledger cannot be there."""

WITHOUT_INDEXES = ("redshift", "snowflake")
"""Databases that refuse CREATE INDEX."""

SHARED_NAMES = ("postgresql", "sqlite")
"""Databases where an index cannot have the name of a table."""


class LedgerError(Portable, Exception):
    """The ledger cannot be used; the message says why and what to do."""


def ledger_error(name: str, failure: str, error: Exception) -> LedgerError:
    """A ``LedgerError`` for a database error.

    :param name: the ledger's table.
    :param failure: what could not be done.
    """
    return LedgerError(f"the ledger, table {name!r}, {failure}: {database_message(error)}")


def database_message(error: object) -> str:
    """The first line of the database's message, without the statement and its values."""
    original = getattr(error, "orig", None) or error
    lines = verbatim.shown(str(original)).strip().splitlines()
    return printable(lines[0]) if lines else type(original).__name__


def check_database(dialect: Dialect, name: str) -> None:
    """Refuse a database without transactions.

    :raises LedgerError: an entry is replaced by a delete and an insert; without a transaction, entries would be lost.
    """
    if dialect.name in WITHOUT_TRANSACTIONS:
        raise LedgerError(
            f"the ledger, table {name!r}, cannot be in a database of the kind {dialect.name!r}, which has no "
            "transactions for it. Name another database with ledger_conn_id, for example PostgreSQL or MySQL. The "
            "tenant table can stay where it is. Nothing was sent."
        )


def check_length(dialect: Dialect, table: str, name: str) -> None:
    """Refuse a name that the database would cut or refuse: cut, the tables' and the index's names could be the same.

    :param table: the ledger's table, without the schema.
    :param name: the same as the user wrote it, for the message.
    :raises LedgerError: the name is too long.
    """
    longest = f"{table}_dashboard"
    length, unit = (len(longest.encode()), "bytes") if dialect.name in COUNT_BYTES else (len(longest), "characters")
    # MySQL has a limit for names in a statement, and a lower one for tables and indexes.
    limit = min(dialect.max_identifier_length, dialect.max_index_name_length or dialect.max_identifier_length)
    if length > limit:
        raise LedgerError(
            f"table {name!r} cannot be created: the name of its index, {longest!r}, has {length} {unit}, and "
            f"the database allows {limit}: give a shorter ledger_table."
        )


class LedgerTable:
    """Opens the table; reading and writing is in ``ledger``.

    :param name: the table's name, optionally with the schema; see ``verbatim.split``.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self.name = name
        self._schema, self._table_name = verbatim.split(name)
        self._versions_name = f"{self._table_name}_version"
        self.table = _define(self._schema, self._table_name, indexed=engine.dialect.name not in WITHOUT_INDEXES)
        self._engine = engine
        self._versions = _define_versions(self._schema, self._versions_name)

    def open(self, *, create: bool = True) -> bool:
        """Create the table if it does not exist, migrate an older one, and check that it can be written.

        :param create: False changes nothing.
        :return: whether the table exists.
        :raises LedgerError: the table is not ours, has a newer version, or cannot be read or written; or its name is
            too long, or it or that of its index is taken; or a ledger cannot be in this database.
        """
        check_database(self._engine.dialect, self.name)
        try:
            self._check_name()
            version = self._version()
            if version is None:
                check_length(self._engine.dialect, self._table_name, self.name)
                self._check_index()
            if version is None and create:
                self._create()
                version = self._version()
            if version is not None:
                self._check(version, create=create)
        except SQLAlchemyError as error:
            raise ledger_error(self.name, "cannot be opened", error) from None
        return version is not None

    def _version(self) -> int | None:
        """The version of the existing table; None if it does not exist."""
        exists = self._exists(self._table_name)
        if not self._exists(self._versions_name):
            if exists:
                raise LedgerError(
                    f"table {self.name!r} exists but is not a ledger of this provider (table {self._versions_name!r} "
                    "is missing): give another ledger_table."
                )
            return None
        with verbatim.connect(self._engine) as connection:
            version = connection.execute(sa.select(sa.func.max(self._versions.c.version))).scalar()
        return int(version) if exists and version is not None else None

    def _check_name(self) -> None:
        """Refuse the name of another ledger's index, in a database where a table cannot have it."""
        if self._engine.dialect.name not in SHARED_NAMES:
            return
        other = self._table_name.removesuffix("_dashboard")
        if other != self._table_name and self._exists(other):
            indexes = sa.inspect(self._engine).get_indexes(other, self._schema)
            if self._table_name in [existing["name"] for existing in indexes]:
                raise LedgerError(
                    f"table {self.name!r} cannot be created: an index of table {other!r} has this name: give another "
                    "ledger_table."
                )

    def _check_index(self) -> None:
        """Refuse the name if a table has that of the index, in a database where that is not possible."""
        index = f"{self._table_name}_dashboard"
        dialect = self._engine.dialect.name
        if dialect not in SHARED_NAMES or not self._exists(index):
            return
        # On PostgreSQL, SQLAlchemy 1.4 also finds the index itself, which another task may just have created.
        database = sa.inspect(self._engine)
        names = database.get_table_names(self._schema) if dialect == "postgresql" else [index]
        if index in names:
            raise LedgerError(
                f"table {self.name!r} cannot be created: table {index!r} has the name that its index needs: give "
                "another ledger_table."
            )

    def _exists(self, table: str) -> bool:
        return sa.inspect(self._engine).has_table(table, schema=self._schema)

    def _create(self) -> None:
        """Create both tables; other tasks may do the same at this moment."""

        def attempt() -> None:
            if not self._exists(self._versions_name):
                with verbatim.begin(self._engine) as connection:
                    self._versions.create(connection, checkfirst=False)
            exists = self._exists(self._table_name)
            with verbatim.begin(self._engine) as connection:
                if not exists:
                    # The version of a dropped table does not count: the new table has our version.
                    connection.execute(sa.delete(self._versions).where(self._versions.c.version != VERSION))
                if connection.execute(sa.select(sa.func.count()).select_from(self._versions)).scalar() == 0:
                    connection.execute(sa.insert(self._versions), [{"version": VERSION}])
            if not self._exists(self._table_name):
                with verbatim.begin(self._engine) as connection:
                    self.table.create(connection, checkfirst=False)

        Retrying(
            retry=retry_if_exception_type(DBAPIError),
            stop=stop_after_delay(CREATE_RETRY_SECONDS),
            wait=wait_random_exponential(multiplier=0.05, max=1),
            reraise=True,
        )(attempt)

    def _check(self, version: int, *, create: bool) -> None:
        if version > VERSION:
            raise LedgerError(
                f"table {self.name!r} has version {version}, this provider knows versions up to {VERSION}: upgrade "
                "airflow-provider-databrain, or give another ledger_table."
            )
        if version < VERSION and create:
            self._migrate(version)
        columns = {
            column["name"]: column for column in sa.inspect(self._engine).get_columns(self._table_name, self._schema)
        }
        if missing := [column.name for column in self.table.columns if column.name not in columns]:
            raise LedgerError(f"table {self.name!r} lacks the columns {', '.join(missing)}: give another ledger_table.")
        required = [
            name
            for name, column in columns.items()
            if name not in self.table.columns and not column["nullable"] and column.get("default") is None
        ]
        if required:
            raise LedgerError(
                f"table {self.name!r} has columns that are not ours and must be filled: {', '.join(required)}. "
                "Make them nullable, give them a default, or give another ledger_table."
            )
        self._check_collations()
        if create:
            self._check_writable()

    def _check_collations(self) -> None:
        """Refuse an older table, or one made by hand, that treats two keys as equal."""
        if self._engine.dialect.name not in EXACT_COLLATIONS:
            return
        # In capitals: a database with a collation that distinguishes case knows the names only like this.
        columns = sa.table(
            "COLUMNS",
            *(sa.column(name) for name in ("TABLE_SCHEMA", "TABLE_NAME", "COLUMN_NAME", "COLLATION_NAME")),
            schema="INFORMATION_SCHEMA",
        )
        schema = self._schema or sa.inspect(self._engine).default_schema_name
        name, collated = columns.c["COLUMN_NAME"], columns.c["COLLATION_NAME"]
        statement = sa.select(name, collated).where(
            columns.c["TABLE_SCHEMA"] == schema,
            columns.c["TABLE_NAME"] == self._table_name,
            name.in_(EXACT_COLUMNS),
            collated.is_not(None),
        )
        with verbatim.connect(self._engine) as connection:
            for column, collation in connection.execute(statement):
                if not _BINARY.search(collation):
                    raise LedgerError(
                        f"table {self.name!r}: column {column} has the collation {collation}, which treats different "
                        "keys as equal ('Acme' and 'acme'): change the collation of the columns "
                        f"{', '.join(EXACT_COLUMNS)} to {EXACT_COLLATIONS[self._engine.dialect.name]}, or give another "
                        "ledger_table. Nothing was sent."
                    )

    def _check_writable(self) -> None:
        """Insert and delete no row: a database that would refuse it later refuses it now."""
        nothing = sa.select(*self.table.columns).where(sa.false())
        with verbatim.begin(self._engine) as connection:
            connection.execute(sa.delete(self.table).where(sa.false()))
            connection.execute(
                sa.insert(self.table).from_select([column.name for column in self.table.columns], nothing)
            )

    def _migrate(self, oldest: int) -> None:
        for version in range(oldest, VERSION):
            with verbatim.begin(self._engine) as connection:
                step = sa.update(self._versions).where(self._versions.c.version == version).values(version=version + 1)
                # The task that updates the version migrates. Other tasks wait for it, and then update no row.
                if connection.execute(step).rowcount:
                    MIGRATIONS[version](connection, self.table)
                    log.info("Ledger %r was migrated from version %d to %d", self.name, version, version + 1)


def _exact(length: int) -> Any:
    """A string type of which no two strings are equal, and which can hold every character.

    The database's own collation is used where it distinguishes all strings: elsewhere, SQL has no common name for one
    that does.
    """
    return (
        sa.String(length)
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation=EXACT_COLLATIONS["mysql"]), "mysql")
        .with_variant(mysql.VARCHAR(length, charset="utf8mb4", collation=EXACT_COLLATIONS["mariadb"]), "mariadb")
        .with_variant(mssql.NVARCHAR(length, collation=EXACT_COLLATIONS["mssql"]), "mssql")
        # Redshift counts bytes.
        .with_variant(sa.String(4 * length), "redshift")
    )


def _text() -> Any:
    """A type for messages, with every character."""
    return (
        sa.Text()
        .with_variant(mysql.TEXT(charset="utf8mb4", collation=EXACT_COLLATIONS["mysql"]), "mysql")
        .with_variant(mysql.TEXT(charset="utf8mb4", collation=EXACT_COLLATIONS["mariadb"]), "mariadb")
        .with_variant(mssql.NVARCHAR(), "mssql")
        # Redshift's TEXT has 256 bytes.
        .with_variant(sa.String(4 * ERROR_LIMIT), "redshift")
    )


def _define(schema: str | None, table: str, *, indexed: bool) -> sa.Table:
    return sa.Table(
        verbatim.name(table),
        sa.MetaData(),
        sa.Column("system", sa.String(32), nullable=False),
        sa.Column("scope", _exact(ID_LIMIT), nullable=False),
        sa.Column("tenant", _exact(ID_LIMIT), nullable=False),
        sa.Column("dashboard_id", _exact(ID_LIMIT)),
        sa.Column("embed_id", _exact(ID_LIMIT)),
        sa.Column("spec_hash", _exact(200)),
        sa.Column("input_hash", sa.String(64)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("last_error", _text()),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("first_change", sa.DateTime(), nullable=False),
        sa.Column("last_change", sa.DateTime(), nullable=False),
        sa.Column("dag_id", _exact(250), nullable=False),
        sa.Column("run_id", _exact(250), nullable=False),
        # SQL Server has a shorter limit for a key by which the rows are stored.
        sa.PrimaryKeyConstraint("system", "scope", "tenant", mssql_clustered=False),
        *([sa.Index(verbatim.name(f"{table}_dashboard"), "system", "scope", "dashboard_id")] if indexed else []),
        schema=verbatim.name(schema) if schema else None,
    )


def _define_versions(schema: str | None, table: str) -> sa.Table:
    return sa.Table(
        verbatim.name(table),
        sa.MetaData(),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        schema=verbatim.name(schema) if schema else None,
    )
