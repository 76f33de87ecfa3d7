"""Operators of Databrain's data apps. All need the service token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_databrain.airflow_compat import Context
from airflow_provider_databrain.databrain.operators.base import (
    DeleteNamedOperator,
    ListOperator,
    NamedOperator,
)

if TYPE_CHECKING:
    from airflow_provider_databrain.client.models import Received


class CreateDataAppOperator(NamedOperator):
    """Make a data app exist; returns its name. One of that name that is there is taken as it is.

    :param name: unique in the organization (templated).
    """

    kind = "Data app"

    def execute(self, context: Context) -> str:
        """Create; returns the name."""
        return self.create_unless_exists(lambda: self.hook.create_data_app(self.name))


class RenameDataAppOperator(NamedOperator):
    """Give a data app another name; returns that. One that has it already is left alone.

    Guest tokens are asked for by the new name from then on.

    :param name: its present name (templated).
    :param new_name: its new one (templated).
    """

    kind = "Data app"
    template_fields: Sequence[str] = (*NamedOperator.template_fields, "new_name")

    def __init__(self, *, new_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.new_name = new_name

    def execute(self, context: Context) -> str:
        """Rename; returns the new name.

        :raises NotFoundError: there is a data app of neither name.
        :raises AlreadyExistsError: there is one of both.
        """
        from airflow_provider_databrain.client.errors import AlreadyExistsError, NotFoundError

        try:
            return self.hook.update_data_app(self.name, self.new_name)
        except (NotFoundError, AlreadyExistsError):
            # An earlier try of this task may have renamed it; which of the two names is looked at first, nobody tells.
            names = {app.name for app in self.hook.list_data_apps(page="all")}
            if self.new_name not in names or self.name in names:
                raise
            self.log.info("Data app %r is there, and none is called %r", self.new_name, self.name)
            return self.new_name


class DeleteDataAppOperator(DeleteNamedOperator):
    """Delete a data app with all its embeds and API tokens; one that is gone is no error.

    :param name: case-sensitive (templated).
    """

    kind = "Data app"

    def delete(self) -> object:
        """Call the endpoint."""
        return self.hook.delete_data_app(self.name)


class ListDataAppsOperator(ListOperator):
    """List the organization's data apps with their embeds; see ``RowsOperator``."""

    def fetch(self) -> Sequence[Received]:
        """Call the endpoint."""
        return self.hook.list_data_apps(page="all")
