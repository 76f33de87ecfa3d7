"""A row is taken as the database gives it, or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from airflow_provider_databrain.sql import columns as catalog
from airflow_provider_databrain.tenants.engine.batches import plan_batches
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.table import TenantSource, TenantTableError, read_batch, read_keys
from tests.databases import Database

TENANTS = TenantSource("tenant_id", table="tenants")
JOIN = "SELECT {} FROM tenants t JOIN resellers r ON r.reseller = t.reseller"


def plan(engine: Engine, source: TenantSource, active_column: str | None = None) -> list[str]:
    """Return the labels of the batches."""
    return [batch["label"] for batch in plan_batches(engine, source, batch_size=2, max_batches=10)]


def read(
    engine: Engine, source: TenantSource, active_column: str | None = None, columns: Sequence[str] | None = ()
) -> list[dict[str, Any]]:
    """Return the rows of the whole table."""
    return [dict(row.row) for row in read_batch(engine, source, {}, active_column=active_column, columns=columns)]


def keys(engine: Engine, source: TenantSource, active_column: str | None = None) -> list[str]:
    """Return the keys that a removal reads."""
    return [row.tenant for row in read_keys(engine, source, active_column=active_column)]


@pytest.fixture
def resellers(database: Database) -> Database:
    """A tenant and its reseller; both tables have a client and a state."""
    database.run(
        "CREATE TABLE tenants (tenant_id VARCHAR(9), client_id VARCHAR(30), reseller INTEGER, active VARCHAR(9))",
        "CREATE TABLE resellers (reseller INTEGER, client_id VARCHAR(30), active VARCHAR(9), tenant_id VARCHAR(9))",
        "INSERT INTO tenants VALUES ('acme', 'client-acme', 7, 'yes')",
        "INSERT INTO resellers VALUES (7, 'client-of-reseller', 'no', 'globex')",
    )
    return database


# Two columns of one name


@pytest.mark.parametrize("use", [plan, read, keys])
@pytest.mark.parametrize(
    "select",
    ["t.*, r.*", "t.tenant_id, r.tenant_id", "t.tenant_id, t.reseller AS tenant_id, r.tenant_id, 1 AS tenant_id"],
)
def test_two_key_columns_are_refused(resellers: Database, select: str, use: Callable[..., Any]) -> None:
    with pytest.raises(TenantTableError, match=r"the tenant query has \d columns with the name 'tenant_id'"):
        use(resellers.own, TenantSource("tenant_id", query=JOIN.format(select)))


@pytest.mark.parametrize("use", [read, keys])
def test_two_active_columns_are_refused(resellers: Database, use: Callable[..., Any]) -> None:
    source = TenantSource("tenant_id", query=JOIN.format("t.tenant_id, t.active, r.active"))
    with pytest.raises(TenantTableError, match="2 columns with the name 'active'"):
        use(resellers.own, source, active_column="active")


@pytest.mark.parametrize("columns", [["client_id"], None], ids=["named", "all"])
@pytest.mark.parametrize(
    "query",
    [
        JOIN.format("t.tenant_id, t.client_id, r.client_id"),
        f"SELECT * FROM ({JOIN.format('t.tenant_id, t.client_id, r.client_id')}) AS joined",
        f"WITH joined AS ({JOIN.format('t.tenant_id, r.client_id, t.client_id')}) SELECT * FROM joined;",
    ],
)
def test_two_columns_that_the_spec_could_mean_are_refused(
    resellers: Database, query: str, columns: Sequence[str] | None
) -> None:
    with pytest.raises(TenantTableError) as caught:
        read(resellers.own, TenantSource("tenant_id", query=query), columns=columns)
    assert "the tenant query has 2 columns with the name 'client_id' (client_id, client_id" in str(caught.value)
    assert "give each of these a name of its own (AS ...). Nothing was sent." in str(caught.value)


def test_two_columns_of_one_name_that_nobody_reads_do_no_harm(resellers: Database) -> None:
    source = TenantSource("tenant_id", query=JOIN.format("t.tenant_id, t.client_id, r.active, t.active"))
    assert read(resellers.own, source, columns=["client_id"]) == [{"tenant_id": "acme", "client_id": "client-acme"}]
    assert plan(resellers.own, source) == ["1 of 1: first, 1 tenants"]
    with pytest.raises(TenantTableError, match="2 columns with the name 'active'"):
        read(resellers.own, source, columns=None)


def test_names_that_differ_in_case_are_two_columns_where_the_database_says_so(resellers: Database) -> None:
    query = JOIN.format('t.tenant_id, t.client_id, r.client_id AS "CLIENT_ID"')
    source = TenantSource("tenant_id", query=query)
    if resellers.kind == "postgresql":
        assert read(resellers.own, source, columns=["CLIENT_ID"])[0]["CLIENT_ID"] == "client-of-reseller"
        assert read(resellers.own, source, columns=["client_id"])[0]["client_id"] == "client-acme"
        return
    with pytest.raises(TenantTableError, match="2 columns with the name 'client_id'"):
        read(resellers.own, source, columns=["client_id"])


@pytest.mark.parametrize("name", ["client_id_1", "client_id:x", ":1", "1"])
def test_a_name_that_only_looks_like_another_is_taken(database: Database, name: str) -> None:
    database.run(f'CREATE TABLE tenants (tenant_id VARCHAR(9), client_id VARCHAR(9), "{name}" VARCHAR(9))')
    database.run("INSERT INTO tenants VALUES ('a', 'b', 'c')")
    for source in (TENANTS, TenantSource("tenant_id", query="SELECT * FROM tenants")):
        assert read(database.own, source, columns=None) == [{"tenant_id": "a", "client_id": "b", name: "c"}]
        assert read(database.own, source, columns=[name, "client_id"]) == [
            {"tenant_id": "a", name: "c", "client_id": "b"}
        ]


# Only the columns that somebody asks for


@pytest.fixture
def odd_value(postgresql: Database) -> Database:
    """A table with a value that the driver cannot read."""
    postgresql.run(
        "CREATE TABLE tenants (tenant_id VARCHAR(9), region VARCHAR(9), ends TIMESTAMP)",
        "INSERT INTO tenants VALUES ('a', 'EU', '20000-01-01'), ('b', 'US', now())",
    )
    return postgresql


@pytest.mark.parametrize("source", [TENANTS, TenantSource("tenant_id", query="SELECT * FROM tenants")])
def test_a_value_that_nobody_asks_for_does_no_harm(odd_value: Database, source: TenantSource) -> None:
    assert plan(odd_value.own, source) == ["1 of 1: first, 2 tenants"]
    assert read(odd_value.own, source, columns=["region"]) == [
        {"tenant_id": "a", "region": "EU"},
        {"tenant_id": "b", "region": "US"},
    ]
    assert keys(odd_value.own, source, active_column=None) == ["a", "b"]


@pytest.mark.parametrize("columns", [["ends"], None])
def test_a_value_that_cannot_be_read_is_an_error(odd_value: Database, columns: Sequence[str] | None) -> None:
    with pytest.raises(TenantTableError, match=r"table 'tenants' cannot be read: .*year"):
        read(odd_value.own, TENANTS, columns=columns)


@pytest.fixture
def granted(postgresql: Database) -> Iterator[Engine]:
    """An engine of a role that may read two of the three columns."""
    role = f"reader_{uuid4().hex}"
    postgresql.run(
        "CREATE TABLE tenants (tenant_id VARCHAR(9), region VARCHAR(9), secret VARCHAR(9))",
        "INSERT INTO tenants VALUES ('a', 'EU', 'x'), ('b', 'US', 'y')",
        f"CREATE ROLE {role}",
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT (tenant_id, region) ON tenants TO {role}",
    )
    yield postgresql.engine(connect_args={"options": f"-c role={role}"})
    postgresql.close()
    postgresql.run(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.parametrize("table", ["tenants", "public.tenants"])
def test_grants_on_columns_are_enough(granted: Engine, table: str) -> None:
    source = TenantSource("tenant_id", table=table)
    assert plan(granted, source) == ["1 of 1: first, 2 tenants"]
    assert [row["region"] for row in read(granted, source, columns=["region"])] == ["EU", "US"]
    assert keys(granted, source) == ["a", "b"]


def test_what_may_not_be_read_is_an_error(granted: Engine) -> None:
    for columns in (None, ["secret"]):
        with pytest.raises(TenantTableError, match="table 'tenants' cannot be read: permission denied"):
            read(granted, TENANTS, columns=columns)
    # The names of all columns are known also to this role.
    with pytest.raises(SpecError, match=r"asks for 'regoin', which .* it has tenant_id, region, secret"):
        read(granted, TENANTS, columns=["regoin"])


@pytest.mark.parametrize("source", [TENANTS, TenantSource("tenant_id", query="SELECT * FROM tenants")])
def test_no_row_and_no_column_is_read_without_need(database: Database, source: TenantSource) -> None:
    database.run("CREATE TABLE tenants (tenant_id VARCHAR(9), region VARCHAR(9), more VARCHAR(9))")
    engine = database.engine()
    sent: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *event: sent.append(" ".join(event[2].split())))
    plan(engine, source)
    read(engine, source, columns=["region"])
    keys(engine, source)
    stars = [statement for statement in sent if statement.startswith("SELECT *")]
    assert all(statement.endswith("WHERE 1 = 0") for statement in stars)
    assert bool(stars) == (source is not TENANTS)


@pytest.mark.parametrize("kind", ["VIEW", "TEMP TABLE", "TEMP VIEW"])
def test_views_and_temporary_tables_have_columns(database: Database, kind: str) -> None:
    engine = database.engine(poolclass=sa.pool.StaticPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE {kind} tenants AS SELECT 'a' AS tenant_id, 'EU' AS \"Region\"")
    assert read(engine, TENANTS, columns=["Region"]) == [{"tenant_id": "a", "Region": "EU"}]
    with pytest.raises(
        SpecError, match="asks for 'region', which is not a column of table 'tenants'; it has tenant_id"
    ):
        read(engine, TENANTS, columns=["region"])


def test_a_column_that_was_dropped_is_missing(database: Database) -> None:
    database.run("CREATE TABLE tenants (tenant_id VARCHAR(9), region VARCHAR(9))", "ALTER TABLE tenants DROP region")
    with pytest.raises(SpecError, match=r"asks for 'region', which .* it has tenant_id\."):
        read(database.own, TENANTS, columns=["region"])


# Other databases, of which a test here can only take the part


@pytest.fixture
def no_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    """No database has a catalog that this package knows."""
    monkeypatch.setattr(catalog, "_CATALOGS", {})


@pytest.mark.usefixtures("no_catalog")
def test_the_columns_of_another_database_are_found(database: Database) -> None:
    database.run('CREATE TABLE tenants (tenant_id VARCHAR(9), "Region" VARCHAR(9))')
    database.run("INSERT INTO tenants VALUES ('a', 'EU')")
    assert plan(database.own, TENANTS) == ["1 of 1: first, 1 tenants"]
    assert read(database.own, TENANTS, columns=["Region"]) == [{"tenant_id": "a", "Region": "EU"}]
    with pytest.raises(TenantTableError, match="has no column 'tenant'; it has tenant_id, Region"):
        keys(database.own, TenantSource("tenant", table="tenants"))
    with pytest.raises(TenantTableError, match=r"table 'nowhere' cannot be read: .*nowhere"):
        read(database.own, TenantSource("tenant_id", table="nowhere"), columns=None)


@pytest.mark.usefixtures("no_catalog")
def test_grants_on_columns_are_enough_in_another_database(granted: Engine) -> None:
    test_grants_on_columns_are_enough(granted, "tenants")
    test_grants_on_columns_are_enough(granted, "public.tenants")
    test_what_may_not_be_read_is_an_error(granted)


def test_a_database_that_tells_no_names_reports_what_is_missing(
    postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "of_table", lambda *_: None)
    postgresql.run("CREATE TABLE tenants (tenant_id VARCHAR(9), region VARCHAR(9))")
    postgresql.run("INSERT INTO tenants VALUES ('a', 'EU')")
    for columns in (["region"], None):
        assert read(postgresql.own, TENANTS, columns=columns) == [{"tenant_id": "a", "region": "EU"}]
    with pytest.raises(TenantTableError, match='column "regoin" does not exist'):
        read(postgresql.own, TENANTS, columns=["regoin"])
    with pytest.raises(TenantTableError, match="has no column 'active'; it has tenant_id, region"):
        list(read_batch(postgresql.own, TENANTS, {}, active_column="active", columns=None))


def test_the_emulator_of_snowflake_renames_the_second_column(sqlite: Database) -> None:
    engine = sqlite.engine()
    engine.dialect.name = "snowflake"
    query = "SELECT 'a' AS tenant_id, 1 AS plan, 2 AS plan, 3 AS plan_1"
    with pytest.raises(TenantTableError, match="2 columns with the name 'plan'"):
        read(engine, TenantSource("tenant_id", query=f"{query};"), columns=["plan"])
    # Not possible with a LIMIT of its own; it is read nevertheless.
    assert read(engine, TenantSource("tenant_id", query=f"{query} LIMIT 1"), columns=["plan_1"]) == [
        {"tenant_id": "a", "plan_1": 3}
    ]
    assert read(engine, TenantSource("tenant_id", query="SELECT 1 AS tenant_id, 2 AS plan_1"), columns=["plan_1"])


def test_duckdb_is_asked_for_the_names_of_the_query_itself(sqlite: Database) -> None:
    engine = sqlite.engine()
    engine.dialect.name = "duckdb"
    asked: list[str] = []

    def describe(*event: Any) -> tuple[str, Any]:
        if not event[2].startswith("DESCRIBE"):
            return event[2], event[3]
        asked.append(event[2])
        return "SELECT 'tenant_id', 'VARCHAR' UNION ALL SELECT 'plan', 'INTEGER' UNION ALL SELECT 'plan', ''", ()

    sa.event.listen(engine, "before_cursor_execute", describe, retval=True)
    query = "SELECT 'a' AS tenant_id, 1 AS plan, 2 AS plan"
    with pytest.raises(TenantTableError, match="2 columns with the name 'plan'"):
        read(engine, TenantSource("tenant_id", query=f"{query} ; "), columns=["plan"])
    assert asked == [f"DESCRIBE {query}\n"]
    assert read(engine, TenantSource("tenant_id", query=query)) == [{"tenant_id": "a"}]


# Names that are not what they look like


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\ufefftenant_id", r"'\ufefftenant_id'"),
        ("tenant_id ", "'tenant_id '"),
        ("tenant_id\u200b", r"'tenant_id\u200b'"),
        ("tenant_id\xa0", r"'tenant_id\xa0'"),
        ("\u202etenant_id", r"'\u202etenant_id'"),
        ("tenant_id, region", "'tenant_id, region'"),
        ("Tenant_Id", "Tenant_Id"),
        ("a b", "a b"),
    ],
)
@pytest.mark.parametrize("use", [plan, read, keys])
def test_a_name_shows_what_nobody_sees(database: Database, name: str, shown: str, use: Callable[..., Any]) -> None:
    near = () if name in ("tenant_id, region", "a b") else (name,)
    database.run(f'CREATE TABLE tenants ("{name}" VARCHAR(9), plan VARCHAR(9))')
    for source in (TENANTS, TenantSource("tenant_id", query="SELECT * FROM tenants")):
        with pytest.raises(TenantTableError) as caught:
            use(database.own, source)
        advice = f" (write {name!r}: each character must be the same, also in case)" if name in near else ""
        assert str(caught.value) == f"{source.name} has no column 'tenant_id'; it has {shown}, plan{advice}"


# Decimals as keys


def test_a_decimal_key_has_no_exponent(postgresql: Database) -> None:
    postgresql.run(
        "CREATE TABLE tenants (tenant_id NUMERIC(30, 8))",
        "INSERT INTO tenants VALUES (0), (0.00000012), (5), (20000000000000000000)",
    )
    shown = ["0", "0.00000012", "5.00000000", "20000000000000000000.00000000"]
    assert keys(postgresql.own, TENANTS) == shown
    batches = plan_batches(postgresql.own, TENANTS, batch_size=1, max_batches=10)
    assert [batch.get("upto") for batch in batches] == [*shown[:-1], None]
    made = [row.tenant for batch in batches for row in read_batch(postgresql.own, TENANTS, batch)]
    assert made == shown
    postgresql.run("INSERT INTO tenants VALUES (0)")
    with pytest.raises(TenantTableError, match="tenant '0' has more than one row"):
        plan(postgresql.own, TENANTS)


def test_a_key_that_is_not_a_number_is_named(postgresql: Database) -> None:
    postgresql.run("CREATE TABLE tenants (tenant_id NUMERIC)", "INSERT INTO tenants VALUES (1), ('NaN')")
    for use in (read, keys):
        with pytest.raises(TenantTableError, match="table 'tenants': tenant_id holds NaN, which is not a number"):
            use(postgresql.own, TENANTS)


# Long queries


@pytest.mark.parametrize("end", [" " * 2_000_000, ";\n" * 1_000_000, " " * 2_000_000 + "\n-- end"])
def test_the_blanks_of_a_query_cost_nothing(sqlite: Database, end: str) -> None:
    # The time of a search at each blank would grow with the square: hours for this query.
    source = TenantSource("tenant_id", query=f"SELECT 'a' AS tenant_id{end}")
    assert source.select.startswith("SELECT 'a' AS tenant_id")
    assert len(source.select) <= len(end) + 30
    if "--" not in end:
        assert source.select == "SELECT 'a' AS tenant_id\n"
        assert keys(sqlite.own, source) == ["a"]


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("SELECT 'a' AS tenant_id; -- all of them", "SELECT 'a' AS tenant_id\n"),
        ("SELECT 'a' AS tenant_id;\n\n-- all of them\n  -- really;\n", None),
        ("SELECT 'a' AS tenant_id -- all; -- of them", None),
        ("SELECT 'a' AS tenant_id, ';-- x' AS b", "SELECT 'a' AS tenant_id, ';-- x' AS b\n"),
        ("SELECT 'a' AS tenant_id, ';\n-- x' AS b", "SELECT 'a' AS tenant_id, ';\n-- x' AS b\n"),
        ("SELECT 'a' AS tenant_id /* ; -- */ ", "SELECT 'a' AS tenant_id /* ; -- */\n"),
        ("SELECT 'a' AS tenant_id /* ;\n-- */, 1 AS b", "SELECT 'a' AS tenant_id /* ;\n-- */, 1 AS b\n"),
    ],
)
def test_a_comment_after_the_semicolon_is_no_second_statement(database: Database, query: str, sent: str | None) -> None:
    source = TenantSource("tenant_id", query=query)
    assert sent in (None, source.select)
    assert keys(database.own, source) == ["a"]
