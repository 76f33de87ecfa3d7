"""The hook of Conduit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_provider_databrain.airflow_compat import Connection, amask_secret, mask_secret
from airflow_provider_databrain.base.hook import ApiHook, ConnectionExtras, both
from airflow_provider_databrain.client.call import Token
from airflow_provider_databrain.client.errors import ApiError, NotFoundError
from airflow_provider_databrain.client.models import check_id
from airflow_provider_databrain.client.server import ConfigurationError
from airflow_provider_databrain.conduit import api

MASKED_AT_ONCE = 100
"""Listed workspaces whose tokens are all masked at once. Airflow takes a tenth of a second for these, and a minute for
ten times as many; of a longer list, a token is masked when it is taken."""


class ConduitHook(ApiHook[ConnectionExtras]):
    """Client of Conduit's API, sync and async.

    The connection holds the organization's token (its password). Where a call takes a workspace's own token, name the
    workspace: the hook finds the token in the organization's list, keeps it in memory and masks it in logs.

    :param conduit_conn_id: an Airflow connection of type ``conduit``.
    :param connect_timeout: seconds, instead of the connection's.
    :param read_timeout: seconds, instead of the connection's.
    :param max_retry_seconds: seconds, instead of the connection's.
    """

    conn_name_attr = "conduit_conn_id"
    default_conn_name = "conduit_default"
    conn_type = "conduit"
    hook_name = "Conduit"
    extras_model = ConnectionExtras
    default_url = api.CLOUD_URL

    def __init__(self, conduit_conn_id: str = default_conn_name, **timeouts: float | None) -> None:
        super().__init__(conduit_conn_id, **timeouts)
        self.conduit_conn_id = conduit_conn_id
        self._workspace_tokens: dict[int, str] = {}
        self._masked: set[str] = set()

    def tokens(self, connection: Connection, extras: ConnectionExtras) -> Mapping[Token, str | None]:
        """The organization's token."""
        return {api.ORGANIZATION_TOKEN: connection.password}

    clone_dashboard, aclone_dashboard = both(api.clone_dashboard)

    def list_workspaces(self) -> list[api.Workspace]:
        """The organization's workspaces, with their tokens."""
        workspaces = self.run(api.list_workspaces())
        self._mask(self._remember(workspaces))
        return workspaces

    async def alist_workspaces(self) -> list[api.Workspace]:
        """As ``list_workspaces``."""
        workspaces = await self.arun(api.list_workspaces())
        await self._amask(self._remember(workspaces))
        return workspaces

    def create_workspace(self, name: str, ext_id: str | None = None) -> api.Workspace:
        """Create a workspace; see ``api.conduit.create_workspace``."""
        workspace = self.run(api.create_workspace(name, ext_id))
        self._mask(self._remember([workspace]))
        return workspace

    async def acreate_workspace(self, name: str, ext_id: str | None = None) -> api.Workspace:
        """As ``create_workspace``."""
        workspace = await self.arun(api.create_workspace(name, ext_id))
        await self._amask(self._remember([workspace]))
        return workspace

    def find_or_create_workspace(self, ext_id: str, name: str) -> api.Workspace:
        """The workspace with that ``ext_id``, made where there is none; see ``api.conduit``."""
        workspace = self.run(api.find_or_create_workspace(ext_id, name))
        self._mask(self._remember([workspace]))
        return workspace

    async def afind_or_create_workspace(self, ext_id: str, name: str) -> api.Workspace:
        """As ``find_or_create_workspace``."""
        workspace = await self.arun(api.find_or_create_workspace(ext_id, name))
        await self._amask(self._remember([workspace]))
        return workspace

    def disable_workspace(self, workspace_id: int) -> None:
        """Disable a workspace and forget its token; see ``api.conduit.disable_workspace``."""
        self.run(api.disable_workspace(workspace_id))
        self._workspace_tokens.pop(workspace_id, None)

    async def adisable_workspace(self, workspace_id: int) -> None:
        """As ``disable_workspace``."""
        await self.arun(api.disable_workspace(workspace_id))
        self._workspace_tokens.pop(workspace_id, None)

    def list_dashboards(self, workspace_id: int | None = None) -> list[api.Dashboard]:
        """The dashboards of a workspace, or the organization's own where none is named."""
        token = None if workspace_id is None else self.workspace_token(workspace_id)
        return self.run(api.list_dashboards(token))

    async def alist_dashboards(self, workspace_id: int | None = None) -> list[api.Dashboard]:
        """As ``list_dashboards``."""
        token = None if workspace_id is None else await self.aworkspace_token(workspace_id)
        return await self.arun(api.list_dashboards(token))

    def share_url(self, dashboard_id: int, workspace_id: int | None = None) -> str:
        """A URL under which a dashboard can be embedded or seen.

        :param workspace_id: the workspace that the dashboard is in; None for the organization.
        """
        token = None if workspace_id is None else self.workspace_token(workspace_id)
        return self.run(api.share_url(dashboard_id, token))

    async def ashare_url(self, dashboard_id: int, workspace_id: int | None = None) -> str:
        """As ``share_url``."""
        token = None if workspace_id is None else await self.aworkspace_token(workspace_id)
        return await self.arun(api.share_url(dashboard_id, token))

    def workspace_token(self, workspace_id: int) -> str:
        """A workspace's own token, from memory or from the organization's list.

        :raises NotFoundError: the list has no such workspace.
        :raises ValueError: ``workspace_id`` is no id.
        """
        check_id(workspace_id, "workspace_id")
        if workspace_id not in self._workspace_tokens:
            self.list_workspaces()
        token = self._known_token(workspace_id)
        self._mask([token])
        return token

    async def aworkspace_token(self, workspace_id: int) -> str:
        """As ``workspace_token``."""
        check_id(workspace_id, "workspace_id")
        if workspace_id not in self._workspace_tokens:
            await self.alist_workspaces()
        token = self._known_token(workspace_id)
        await self._amask([token])
        return token

    def _known_token(self, workspace_id: int) -> str:
        if workspace_id not in self._workspace_tokens:
            raise NotFoundError(
                f"the organization has no workspace {workspace_id!r}, or it is disabled",
                endpoint=api.LIST_WORKSPACES.name,
            )
        return self._workspace_tokens[workspace_id]

    def _remember(self, workspaces: Iterable[api.Workspace]) -> list[str]:
        given = {each.id: each.token for each in workspaces}
        self._workspace_tokens |= given
        return list(given.values())

    def _mask(self, tokens: Iterable[str]) -> None:
        for token in self._unmasked(tokens):
            mask_secret(token)

    async def _amask(self, tokens: Iterable[str]) -> None:
        for token in self._unmasked(tokens):
            await amask_secret(token)

    def _unmasked(self, tokens: Iterable[str]) -> list[str]:
        new = [token for token in tokens if token not in self._masked]
        if len(new) > MASKED_AT_ONCE:
            return []
        self._masked.update(new)
        return new

    def test_connection(self) -> tuple[bool, str]:
        """Try the token with one small read. A workspace's token would pass too: it lists its own dashboards."""
        # A hook of its own, because this one may have settings and connections that retry.
        hook = ConduitHook(self.conn_id, **{**self._overrides, "max_retry_seconds": 0.0})
        try:
            hook.list_dashboards()
        except (ApiError, ConfigurationError) as error:
            if isinstance(error, NotFoundError):
                error.hint = f"Host must include the API's version, as in {api.CLOUD_URL}."
            return False, f"{api.ORGANIZATION_TOKEN.name}: {error}"
        finally:
            hook.close()
        return True, f"{api.ORGANIZATION_TOKEN.name}: works"
