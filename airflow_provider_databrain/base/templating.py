"""What operators read from Airflow when they run: templated arguments, and the key of their own task.

Templating turns numbers into strings, so an argument that is a number must accept both.
"""

from __future__ import annotations

from airflow_provider_databrain.airflow_compat import Context


def positive_int(value: int | str | None, name: str) -> int:
    """Read a whole number above 0, which may be a string after templating.

    :param name: the argument's name, for the message.
    :raises ValueError: ``value`` is not a whole number above 0.
    """
    digits = str(value).strip()
    if not (digits.isascii() and digits.isdigit() and int(digits)):
        raise ValueError(f"{name} is {value!r}; it must be a whole number above 0. Nothing was sent.")
    return int(digits)


def not_negative(value: int | str | None, name: str) -> int:
    """Read a whole number from 0, which may be a string after templating.

    :raises ValueError: ``value`` is not a whole number from 0.
    """
    digits = str(value).strip()
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{name} is {value!r}; it must be a whole number from 0. Nothing was sent.")
    return int(digits)


def number_from_0(value: float | str, name: str) -> float:
    """Read a finite number from 0, which may be a string.

    :raises ValueError: ``value`` is not such a number.
    """
    from airflow_provider_databrain.base.arguments import read_number

    try:
        number = read_number(value)
    except (ValueError, TypeError):
        number = -1
    if number < 0:
        raise ValueError(f"{name} is {value!r}; it must be a number from 0. Nothing was sent.")
    return number


def task_key(context: Context) -> str:
    """A key that is the same in every try of a task, so that a later try finds the work of an earlier one."""
    instance = context.get("ti")
    parts = [getattr(instance, name, "") for name in ("dag_id", "task_id", "run_id", "map_index")]
    return "/".join(map(str, parts))
