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
    """Create a data app if none has this name; returns its name. An existing one is left unchanged.

    Further parameters: see ``DatabrainOperator``.

    :param name: the data app's name; case-sensitive, unique in the organization (templated).
    """

    kind = "Data app"

    def execute(self, context: Context) -> str:
        """Create the data app; returns its name."""
        return self.create_unless_exists(lambda: self.hook.create_data_app(self.name))


class RenameDataAppOperator(NamedOperator):
    """Rename a data app; returns the new name. Succeeds if an earlier try has already renamed it.

    From then on, requests for guest tokens must use the new name.

    Further parameters: see ``DatabrainOperator``.

    :param name: the present name; case-sensitive (templated).
    :param new_name: the new name (templated).
    """

    kind = "Data app"
    template_fields: Sequence[str] = (*NamedOperator.template_fields, "new_name")

    def __init__(self, *, new_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.new_name = new_name

    def execute(self, context: Context) -> str:
        """Rename the data app; returns the new name.

        :raises NotFoundError: no data app has either name.
        :raises AlreadyExistsError: both names are in use.
        :raises ValueError: a name is blank; nothing was sent.
        """
        from airflow_provider_databrain.client.errors import AlreadyExistsError, NotFoundError

        try:
            return self.hook.update_data_app(self.name, self.new_name)
        except (NotFoundError, AlreadyExistsError):
            # An earlier try of this task may have renamed it. The server may check either name first, so both errors
            # are possible.
            names = {app.name for app in self.hook.list_data_apps(page="all")}
            if self.new_name not in names or self.name in names:
                raise
            self.log.info("Data app %r exists and %r does not: it is already renamed", self.new_name, self.name)
            return self.new_name


class DeleteDataAppOperator(DeleteNamedOperator):
    """Delete a data app with its embeds and API tokens; returns nothing. Succeeds if the data app is already gone.

    Further parameters: see ``DatabrainOperator``.

    :param name: the data app's name; case-sensitive (templated).
    """

    kind = "Data app"

    def delete(self) -> object:
        """Call the endpoint."""
        return self.hook.delete_data_app(self.name)


class ListDataAppsOperator(ListOperator):
    """List the organization's data apps with their embeds; returns rows with ``name``.

    Parameters: see ``RowsOperator``.
    """

    def fetch(self) -> Sequence[Received]:
        """Fetch all pages of the list."""
        return self.hook.list_data_apps(page="all")
