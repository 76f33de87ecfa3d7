"""The text of a value from the tenant table, for a tenant's key and for a placeholder of the spec.

What always holds: the same value gives the same text, in each process and each time zone of a database session. A value
that has no such text, or more than one, is refused.

========================  ==========================================================================
value                     text
========================  ==========================================================================
a string                  as it is
an integer                its digits
a boolean                 ``True`` or ``False`` (only in a placeholder)
a decimal                 its digits as the database shows them, never with an exponent: ``1.10``, ``0.00000012``. A
                          zero has no sign, and it is ``0`` if it has more than six digits after the point
a float                   its digits, if it has a fraction and no exponent: ``1.5`` (only in a placeholder)
a date or a time          ISO, with a blank between the two
a point in time           the same, in UTC
a UUID                    in lower case, with hyphens
========================  ==========================================================================

Refused: NaN and infinity; a float without a fraction (one database shows ``1001``, another ``1001.0``) and one that is
written with an exponent; bytes, arrays, JSON, intervals and every other type. An infinite date or time is refused if
the driver cannot read it; psycopg2 gives the last moment of the year 9999 in its place.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from uuid import UUID

PLAIN = (str, int, float, Decimal, UUID, date, time)
"""Types (and their subclasses, such as bool and datetime) of which a value can have a text."""


def text(value: object) -> str:
    """The text of a value.

    :raises ValueError: it has none, or more than one. The message is the end of a sentence: "the column holds ...".
    """
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, datetime) and value.tzinfo:
        # Otherwise the text would depend on the time zone of the database session.
        try:
            return str(value.astimezone(UTC))
        except OverflowError:
            raise ValueError(f"{value}, which is not a year from 1 to 9999 in UTC") from None
    if isinstance(value, PLAIN):
        return str(value)
    raise ValueError(f"a value of type {type(value).__name__}, which has no plain string")


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"{value}, which is not a number")
    if not value:
        value = value.copy_abs()
    plain = str(value)
    if "E" not in plain:
        return plain
    return format(value, "f") if value else "0"


def _float(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"{value}, which is not a number")
    if value.is_integer() or "e" in repr(value):
        raise ValueError(f"the float {value!r}, which has more than one plain string")
    return str(value)
