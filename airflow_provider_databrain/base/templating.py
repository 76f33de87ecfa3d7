"""Arguments that came through a template, and what a task is called."""

from __future__ import annotations

from airflow_provider_databrain.airflow_compat import Context


def whole(value: int | str | None, name: str) -> int:
    """A number above 0, of which templating may have made a text."""
    digits = str(value).strip()
    if not (digits.isascii() and digits.isdigit() and int(digits)):
        raise ValueError(f"{name} is {value!r}; it must be a whole number above 0. Nothing was sent.")
    return int(digits)


def own_key(context: Context) -> str:
    """What a task finds its own work again by, whatever try it is."""
    instance = context.get("ti")
    parts = [getattr(instance, name, "") for name in ("dag_id", "task_id", "run_id", "map_index")]
    return "/".join(map(str, parts))
