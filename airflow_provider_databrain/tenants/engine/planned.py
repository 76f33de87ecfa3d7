"""What came as ``batch`` is a batch, and it was planned from the source that the task reads.

A batch's bounds are keys of one table. For another table they would leave tenants out without a word, so a batch
carries what it was planned from: the connection, the table (or a hash of the query) and the key column.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from airflow_provider_databrain.sql import verbatim

if TYPE_CHECKING:
    from airflow_provider_databrain.tenants.engine.table import TenantSource

_EXPAND = "Give it one batch of PlanTenantBatchesOperator: .partial(...).expand(batch=plan.output)"
_SHOWN = 60


def planned_from(conn_id: str, source: TenantSource) -> dict[str, str]:
    """What a batch says about its source. It is small, and has no text of the query.

    :param conn_id: the Airflow connection of the database.
    """
    found = {"sql_conn_id": conn_id, "key_column": source.key_column}
    if source.table:
        parts = [part for part in verbatim.split(source.table) if part]
        return {**found, "table": ".".join(json.dumps(part, ensure_ascii=False) for part in parts)}
    query = (source.query or "").strip().rstrip("; \t\r\n")
    return {**found, "query": hashlib.blake2b(query.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()}


def check_planned(batch: Any, conn_id: str, source: TenantSource) -> bool:
    """Raise ``ValueError`` if this is no batch, or was planned from another source.

    :return: False if it does not say what it was planned from: an earlier version planned it.
    """
    if not isinstance(batch, Mapping):
        raise ValueError(f"batch is {_what(batch)}, not one batch. {_advice(batch)}{_EXPAND}. Nothing was sent.")
    wrong = _wrong(batch)
    if wrong:
        raise ValueError(f"batch is no batch: {wrong}. {_EXPAND}. Nothing was sent.")
    if "source" not in batch:
        return False
    planned, read = batch["source"], planned_from(conn_id, source)
    if planned != read:
        differ = [
            name for name in ("sql_conn_id", "table", "query", "key_column") if planned.get(name) != read.get(name)
        ]
        differences = "; ".join(
            f"{name} was {_source_value(planned, name)} in the plan and is {_source_value(read, name)} here"
            for name in differ
        )
        templates = (
            " The texts of the queries are compared: a template in them must render to the same text in both tasks, so "
            "it must not use the present time or the task's own id."
            if "query" in planned and "query" in read and "query" in differ
            else ""
        )
        raise ValueError(
            f"batch was planned from another source, so its bounds do not fit: {differences}. Give the plan and this "
            f"task the same connection, table or query, and key column.{templates} Nothing was sent."
        )
    return True


def _source_value(source: Mapping[str, Any], name: str) -> str:
    if name not in source:
        return "not given"
    return f"another one (hash {source[name]})" if name == "query" else repr(source[name])


def _what(value: Any) -> str:
    name = type(value).__name__
    if isinstance(value, str):
        shown = repr(value)
        return f"a text, {shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'}"
    if isinstance(value, Sequence):
        return f"a {name} of {len(value)} elements"
    return f"{value!r} ({name})" if isinstance(value, bool | int | float) else f"a {name}"


def _advice(value: Any) -> str:
    if isinstance(value, str):
        return "A template gives a text unless render_template_as_native_obj=True is set. "
    if isinstance(value, Sequence):
        return "Without .expand, each task gets all batches. "
    return ""


def _wrong(batch: Mapping[Any, Any]) -> str | None:
    """What is wrong with the keys and the types of a batch; None if nothing is."""
    needed, more = {"number", "of", "rows", "label"}, {"after", "upto", "source"}
    missing = sorted(needed - set(batch))
    unknown = sorted(str(key)[:_SHOWN] for key in set(batch) - needed - more)
    if missing or unknown:
        faults = [f"it lacks {', '.join(missing)}"] if missing else []
        faults += [f"it has {', '.join(unknown[:5])}, which a batch has not"] if unknown else []
        return " and ".join(faults)
    for name, least in (("number", 1), ("of", 1), ("rows", 0)):
        if not _is_whole(batch[name]) or batch[name] < least:
            return f"{name} is {_what(batch[name])}; it must be a whole number from {least}"
    if not isinstance(batch["label"], str):
        return f"label is {_what(batch['label'])}; it must be a text"
    bounds = [batch[name] for name in ("after", "upto") if name in batch]
    if not (all(map(_is_whole, bounds)) or all(isinstance(bound, str) for bound in bounds)):
        return f"its bounds are {' and '.join(map(_what, bounds))}; they must be whole numbers or texts, of one type"
    number, of = batch["number"], batch["of"]
    if number > of or ("after" in batch) != (number > 1) or ("upto" in batch) != (number < of):
        return f"number {number} of {of} does not fit its bounds ({', '.join(sorted(more & set(batch))) or 'none'})"
    if "source" in batch and not isinstance(batch["source"], Mapping):
        return f"source is {_what(batch['source'])}; it must be a mapping"
    return None


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
