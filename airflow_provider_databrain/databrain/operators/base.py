"""Bases of Databrain's operators for single calls, and what they share.

Inheritance is single. An operator imports the hook, the API and the errors only when it runs, so that Airflow parses a
Dag file fast.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.base.operator import ApiOperator, write_file

if TYPE_CHECKING:
    from airflow_provider_databrain.client.models import Received
    from airflow_provider_databrain.databrain.hook import DatabrainHook


class DatabrainOperator(ApiOperator):
    """Base of the operators that call Databrain's API.

    Further parameters: see ``ApiOperator``.

    :param databrain_conn_id: the Airflow connection (templated).
    """

    template_fields: Sequence[str] = ("databrain_conn_id",)
    ui_color = "#e8f0fe"

    def __init__(self, *, databrain_conn_id: str = "databrain_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.databrain_conn_id = databrain_conn_id

    @cached_property
    def hook(self) -> DatabrainHook:
        """The hook, created on first use."""
        from airflow_provider_databrain.databrain.hook import DatabrainHook

        return DatabrainHook(self.databrain_conn_id, **self.timeouts)


class RowsOperator(DatabrainOperator):
    """Base of the operators that return rows, or write them to a file.

    Further parameters: see ``DatabrainOperator``.

    :param output_path: write the rows to this file as a JSON array, and return ``{"path", "rows"}`` (path and number
        of rows) instead. A path, or an object storage URL such as ``s3://conn@bucket/metrics.json`` (templated).
    :param max_xcom_bytes: the most bytes of JSON that may go into XCom; the task fails if the rows are larger.
    """

    template_fields: Sequence[str] = (*DatabrainOperator.template_fields, "output_path")

    def __init__(self, *, output_path: str | None = None, max_xcom_bytes: int = 64 * 1024, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.max_xcom_bytes = max_xcom_bytes

    def to_xcom_or_file(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | dict[str, Any]:
        """Return the rows, or write them to ``output_path``."""
        return to_xcom_or_file(rows, self.output_path, self.max_xcom_bytes)


class ListOperator(RowsOperator):
    """Base of the operators that return what an endpoint lists, with the API's own field names.

    Parameters: see ``RowsOperator``.
    """

    @abstractmethod
    def fetch(self) -> Sequence[Received]:
        """Fetch the rows from the API."""

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """Fetch the rows, then return them or write them to a file.

        :raises ValueError: the rows are larger than ``max_xcom_bytes``.
        """
        rows = [row.as_row() for row in self.fetch()]
        self.log.info("%d rows", len(rows))
        return self.to_xcom_or_file(rows)


class NamedOperator(DatabrainOperator):
    """Base of the operators that act on one object with a name.

    :param name: case-sensitive (templated).
    """

    template_fields: Sequence[str] = (*DatabrainOperator.template_fields, "name")
    kind: ClassVar[str]
    """What the object is, for the log. ``create_unless_exists`` and ``DeleteNamedOperator`` need it."""

    def __init__(self, *, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name

    def create_unless_exists(self, create: Callable[[], str]) -> str:
        """Call ``create`` and return the name. An object that exists already is left unchanged."""
        from airflow_provider_databrain.client.errors import AlreadyExistsError

        try:
            return create()
        except AlreadyExistsError as error:
            error.raise_unless_from_api()
            self.log.info("%s %r exists already", self.kind, self.name)
            return self.name


class DeleteNamedOperator(NamedOperator):
    """Base of the operators that delete an object by its name. Succeeds if the object is already gone."""

    @abstractmethod
    def delete(self) -> object:
        """Call the endpoint."""

    def execute(self, context: Context) -> None:
        """Delete the object.

        :raises ValueError: ``name`` is blank; nothing was sent.
        """
        from airflow_provider_databrain.client.errors import NotFoundError

        try:
            self.delete()
        except NotFoundError as error:
            error.raise_unless_from_api()
            self.log.info("%s %r is already gone", self.kind, self.name)


def to_xcom_or_file(
    rows: Sequence[Mapping[str, Any]], output_path: str | None, max_xcom_bytes: int
) -> list[dict[str, Any]] | dict[str, Any]:
    """Return the rows; or, with ``output_path``, write them there as JSON and return the path and the number of rows.

    :raises ValueError: there is no ``output_path``, and the rows are more than ``max_xcom_bytes`` bytes of JSON.
    """
    import json

    document = json.dumps(rows, ensure_ascii=False).encode()
    if output_path:
        write_file(output_path, document)
        return {"path": output_path, "rows": len(rows)}
    if len(document) > max_xcom_bytes:
        raise ValueError(
            f"{len(rows)} rows are {len(document)} bytes of JSON, and max_xcom_bytes is {max_xcom_bytes}: "
            "set output_path, or raise max_xcom_bytes"
        )
    return [dict(row) for row in rows]


def without_blanks(**fields: Any) -> dict[str, Any]:
    """The fields that are set: neither None nor an empty string, which a template may render for None."""
    return {name: value for name, value in fields.items() if value not in (None, "")}
