"""What the operators of Databrain share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.base.operator import ApiOperator, write_file

if TYPE_CHECKING:
    from airflow_provider_databrain.client.errors import NotFoundError
    from airflow_provider_databrain.client.models import Received
    from airflow_provider_databrain.databrain.hook import DatabrainHook


class DatabrainOperator(ApiOperator):
    """Base of the operators that talk to Databrain; further parameters: see ``ApiOperator``.

    :param databrain_conn_id: the Airflow connection (templated).
    """

    template_fields: Sequence[str] = ("databrain_conn_id",)
    ui_color = "#e8f0fe"

    def __init__(self, *, databrain_conn_id: str = "databrain_default", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.databrain_conn_id = databrain_conn_id

    @cached_property
    def hook(self) -> DatabrainHook:
        """The hook, made when first used."""
        from airflow_provider_databrain.databrain.hook import DatabrainHook

        return DatabrainHook(self.databrain_conn_id, **self.timeouts)


class RowsOperator(DatabrainOperator):
    """Base of the operators that hand on rows.

    :param output_path: write the rows there as a JSON array, to a path or an object storage URL such as
        ``s3://conn@bucket/metrics.json``, and return ``{"path", "rows"}`` instead (templated).
    :param max_xcom_bytes: fail rather than put more than this into XCom, in bytes of JSON.
    """

    template_fields: Sequence[str] = (*DatabrainOperator.template_fields, "output_path")

    def __init__(self, *, output_path: str | None = None, max_xcom_bytes: int = 64 * 1024, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.max_xcom_bytes = max_xcom_bytes

    def hand_on(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]] | dict[str, Any]:
        """The rows themselves, or where they were written."""
        return hand_on(rows, self.output_path, self.max_xcom_bytes)


class ListOperator(RowsOperator):
    """Base of the operators that hand on what an endpoint lists; see ``RowsOperator``."""

    @abstractmethod
    def fetch(self) -> Sequence[Received]:
        """Call the endpoint."""

    def execute(self, context: Context) -> list[dict[str, Any]] | dict[str, Any]:
        """Fetch, then return or write the rows, under the API's own field names."""
        rows = [row.as_row() for row in self.fetch()]
        self.log.info("%d rows", len(rows))
        return self.hand_on(rows)


class NamedOperator(DatabrainOperator):
    """Base of what is done to something that has a name.

    :param name: case-sensitive (templated).
    """

    template_fields: Sequence[str] = (*DatabrainOperator.template_fields, "name")
    kind: ClassVar[str]
    """What has that name, for the log."""

    def __init__(self, *, name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = name

    def create_unless_exists(self, create: Callable[[], str]) -> str:
        """Create; returns the name. If it exists already, it stays as it is."""
        from airflow_provider_databrain.client.errors import AlreadyExistsError

        try:
            return create()
        except AlreadyExistsError:
            self.log.info("%s %r exists already", self.kind, self.name)
            return self.name


class DeleteNamedOperator(NamedOperator):
    """Base of the operators that delete; what is gone already is no error."""

    @abstractmethod
    def delete(self) -> object:
        """Call the endpoint."""

    def execute(self, context: Context) -> None:
        """Delete."""
        from airflow_provider_databrain.client.errors import NotFoundError

        try:
            self.delete()
        except NotFoundError as error:
            raise_if_no_api_code(error)
            self.log.info("%s %r is gone already", self.kind, self.name)


def hand_on(
    rows: Sequence[Mapping[str, Any]], output_path: str | None, max_xcom_bytes: int
) -> list[dict[str, Any]] | dict[str, Any]:
    """The rows themselves or, if there is an ``output_path``, where they were written.

    :raises ValueError: the rows are more than ``max_xcom_bytes`` of JSON.
    """
    import json

    document = json.dumps(rows, ensure_ascii=False).encode()
    if output_path:
        write_file(output_path, document)
        return {"path": output_path, "rows": len(rows)}
    if len(document) > max_xcom_bytes:
        raise ValueError(
            f"{len(rows)} rows are {len(document)} bytes, and XCom may hold {max_xcom_bytes} of them: "
            "set output_path, or raise max_xcom_bytes"
        )
    return [dict(row) for row in rows]


def raise_if_no_api_code(error: NotFoundError) -> None:
    """Raise an error without a code of the API's: that is of a wrong address, and says nothing of what is there."""
    if error.code is None:
        raise error


def given(**fields: Any) -> dict[str, Any]:
    """The fields without those that were not given. Templating makes a text of them, so a blank one is none."""
    return {name: value for name, value in fields.items() if value not in (None, "")}
