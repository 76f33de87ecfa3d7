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


def task_key(context: Context) -> str:
    """A key that is the same in every try of a task, so that a later try finds the work of an earlier one."""
    instance = context.get("ti")
    parts = [getattr(instance, name, "") for name in ("dag_id", "task_id", "run_id", "map_index")]
    return "/".join(map(str, parts))
