"""The text of a value from the tenant table."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from airflow_provider_databrain.tenants.engine.spec import SpecError, fill
from airflow_provider_databrain.tenants.engine.table import parse_bool
from airflow_provider_databrain.tenants.engine.values import text
from tests.databases import Database

BERLIN = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0E-8", "0E-8"),
        (7, "7"),
        (-(2**70), str(-(2**70))),
        (True, "True"),
        (Decimal("0E-8"), "0"),
        (Decimal("-0E-8"), "0"),
        (Decimal("0E+3"), "0"),
        (Decimal("-0"), "0"),
        (Decimal("0.00"), "0.00"),
        (Decimal("-0.00"), "0.00"),
        (Decimal("1.10"), "1.10"),
        (Decimal("-5.00000000"), "-5.00000000"),
        (Decimal("1.2E-7"), "0.00000012"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-1.5E+20"), "-150000000000000000000"),
        (1.5, "1.5"),
        (-0.1, "-0.1"),
        (date(2026, 1, 2), "2026-01-02"),
        (time(1, 2), "01:02:00"),
        (datetime(2026, 1, 2, 3), "2026-01-02 03:00:00"),
        (datetime(2026, 1, 2, 3, tzinfo=UTC), "2026-01-02 03:00:00+00:00"),
        (datetime(2026, 1, 2, 3, tzinfo=BERLIN), "2026-01-02 01:00:00+00:00"),
        (UUID(int=11), "00000000-0000-0000-0000-00000000000b"),
    ],
)
def test_a_value_has_one_text(value: object, shown: str) -> None:
    assert text(value) == shown
    assert fill({"a": "<{x}>"}, {"x": value}, "t") == {"a": f"<{shown}>"}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1001.0, "the float 1001.0, which has more than one plain string"),
        (1e16, r"the float 1e\+16, which has more than one plain string"),
        (1e-7, "the float 1e-07, which has more than one plain string"),
        (0.0, "the float 0.0"),
        (-0.0, "the float -0.0"),
        (float("nan"), "nan, which is not a number"),
        (float("-inf"), "-inf, which is not a number"),
        (Decimal("NaN"), "NaN, which is not a number"),
        (Decimal("sNaN"), "sNaN, which is not a number"),
        (Decimal("-Infinity"), "-Infinity, which is not a number"),
        (datetime.min.replace(tzinfo=BERLIN), "which is not a year from 1 to 9999 in UTC"),
        (b"a", "a value of type bytes, which has no plain string"),
        (memoryview(b"a"), "a value of type memoryview"),
        (timedelta(1), "a value of type timedelta"),
        (["a"], "a value of type list"),
        ({"a": 1}, "a value of type dict"),
    ],
)
def test_a_value_without_one_text_is_refused_and_named(value: object, shown: str) -> None:
    with pytest.raises(SpecError, match=f"tenant 't': column 'x' holds .*{shown}.*'<{{x}}>'. Cast it in a query"):
        fill({"a": "<{x}>"}, {"x": value}, "t")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"\0", False),
        (b"\1", True),
        (b"\0\0", False),
        (b"\0\1", True),
        (bytearray(b"\1"), True),
        (memoryview(b"\0"), False),
        (b"", None),
        (b"\2", None),
        (b"\1\0", None),
        (b"yes", None),
        ("Y  ", True),
        ("N  ", False),
        (Decimal("NaN"), None),
        (Decimal("1.000"), True),
    ],
)
def test_a_boolean_as_bytes_is_clear_if_it_is_one_bit(value: Any, shown: bool | None) -> None:
    assert parse_bool(value) is shown


TYPES = {
    "NUMERIC(20, 8)": ("0", "0"),
    "NUMERIC": ("12.50", "12.50"),
    "DOUBLE PRECISION": ("1.5", "1.5"),
    "BOOLEAN": ("true", "True"),
    "BIT(1)": ("B'1'", "1"),
    "UUID": ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    "TIMESTAMPTZ": ("'2026-07-01 12:00:00+02'", "2026-07-01 10:00:00+00:00"),
    "TIMESTAMP": ("'2026-07-01 12:00:00'", "2026-07-01 12:00:00"),
    "CHAR(4)": ("'ab'", "ab  "),
    "BYTEA": ("'ab'", None),
    "INTERVAL": ("'1 day'", None),
    "TEXT[]": ("'{a,b}'", None),
    "JSONB": ("'{\"a\": 1}'", None),
    "REAL": ("1001", None),
}


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
@pytest.mark.parametrize("kind", TYPES)
def test_a_placeholder_takes_what_postgresql_has(postgresql: Database, kind: str, zone: str) -> None:
    value, shown = TYPES[kind]
    engine = postgresql.engine(connect_args={"options": f"-c timezone={zone}"})
    with engine.connect() as connection:
        row = {"x": connection.exec_driver_sql(f"SELECT CAST({value} AS {kind})").scalar_one()}
    if shown is not None:
        assert fill({"a": "{x}"}, row, "t") == {"a": shown}
        return
    with pytest.raises(SpecError, match="tenant 't': column 'x' holds "):
        fill({"a": "{x}"}, row, "t")
