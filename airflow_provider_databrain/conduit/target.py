"""Conduit's target: each tenant has a workspace, and in it a clone of the source dashboard.

What always holds:

- The workspace is found by its ``ext_id``, and the clone by its name. If several match, the oldest counts. Conduit's
  reference does not say whether an ``ext_id`` is unique.
- Nothing is updated, because no call renames or deletes a dashboard. Removing a tenant disables its workspace.
- A workspace is disabled only if the list shows that it still has the tenant's ``ext_id``.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ValidationError

from airflow_provider_databrain.client.call import Request
from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    NotAllowedError,
    NotFoundError,
)
from airflow_provider_databrain.client.models import Name, Sent, explain
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.conduit import api
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.target import Desired, Existing

T = TypeVar("T")


class ConduitSpec(Sent):
    """The fields of a spec for Conduit.

    :param source_dashboard: number of the organization's dashboard to clone.
    :param name: name of the clone; it is found again by this name in the tenant's workspace.
    :param ext_id: the workspace's ``ext_id``; by default the tenant's key.
    :param workspace_name: name of a new workspace; by default ``ext_id``.
    """

    source_dashboard: int
    name: Name
    ext_id: Name | None = None
    workspace_name: Name | None = None


class ConduitTarget:
    """What the engine asks of Conduit (see ``tenants.engine.target.Target``). Each batch needs a new instance.

    :param scope: the organization, as the ledger names it.
    """

    system = "conduit"
    look_first = True
    creates_once = True
    # A second clone can be found but not deleted.
    can_duplicate = False
    has_shared_places = True

    def __init__(self, *, scope: str) -> None:
        self.scope = scope
        self._by_ext_id: dict[str | None, api.Workspace] = {}
        self._by_id: dict[int, api.Workspace] = {}
        self._created: list[api.Workspace] = []
        self._surveyed = False
        self._survey_error: ApiError | None = None
        self._survey_lock = asyncio.Lock()

    @property
    def options(self) -> str:
        """Version of the spec hash's content."""
        return "1"

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[ConduitSpec]:
        """Check one tenant's spec.

        :raises SpecError: the spec is invalid.
        """
        try:
            spec = ConduitSpec.model_validate(fields)
        except ValidationError as invalid:
            raise SpecError(f"tenant {tenant!r}: {'; '.join(explain(invalid))}") from None
        if spec.source_dashboard < 1:
            raise SpecError(
                f"tenant {tenant!r}: source_dashboard is {spec.source_dashboard}; it must be the number of a dashboard"
            )
        ext_id = spec.ext_id or tenant
        wanted = spec.model_copy(update={"ext_id": ext_id, "workspace_name": spec.workspace_name or ext_id})
        return Desired(
            tenant, None, f"{_hash(ext_id)}.{_hash(spec.name)}", wanted, f"the workspace with ext_id {ext_id!r}"
        )

    def differs(self, desired: Desired[ConduitSpec], existing: Existing) -> bool:
        """Always False: Conduit cannot change a dashboard.

        :raises SpecError: ``ext_id`` or ``name`` differs from what the ledger knows.
        """
        if desired.spec_hash != existing.spec_hash:
            raise SpecError(
                f"tenant {desired.tenant!r}: ext_id or name is not what dashboard {existing.dashboard_id} was created "
                "with, and Conduit cannot change them. Undo the change, or remove the tenant's workspace first. A "
                "second dashboard for the same tenants needs its own ledger_table."
            )
        return False

    async def survey(self, transport: AsyncTransport) -> None:
        """List the organization's workspaces."""
        listed = await transport.run(api.list_workspaces())
        # The old list is replaced only now, so that no other task sees half a list. The new list may lack a workspace
        # that was created while the request was under way, so these are added.
        self._by_ext_id, self._by_id = {}, {}
        for workspace in sorted([*listed, *self._created], key=lambda workspace: workspace.id):
            self._add(workspace)
        self._surveyed = True

    @property
    def lists_nothing(self) -> bool:
        """Whether the last survey shows nothing at all."""
        return not self._by_id

    def lists(self, existing: Existing) -> bool:
        """Whether the last survey shows the dashboard's workspace."""
        return int(existing.embed_id) in self._by_id

    async def is_gone(self, transport: AsyncTransport, existing: Existing) -> bool:
        """Always False: Conduit has no call that asks for one workspace."""
        return False

    async def find(self, transport: AsyncTransport, desired: Desired[ConduitSpec], *, ours: bool) -> Existing | None:
        """The oldest dashboard with that name in the tenant's workspace. Takes one call if the workspace exists."""
        workspace = self._by_ext_id.get(str(desired.wanted.ext_id))
        if workspace is None:
            return None
        listed = await _as_workspace(transport, api.list_dashboards(workspace_token=workspace.token))
        named = sorted(dashboard.id for dashboard in listed if dashboard.name == desired.wanted.name)
        return Existing(str(named[0]), str(workspace.id), desired.spec_hash) if named else None

    def find_known(self, desired: Desired[ConduitSpec], existing: Existing) -> Existing | None:
        """Always None: the list shows what ``find`` looks for, or nothing proves whose it is."""
        return None

    def duplicates(self, desired: Desired[ConduitSpec]) -> Sequence[Existing]:
        """Always empty: Conduit cannot delete a dashboard."""
        return ()

    async def create(self, transport: AsyncTransport, desired: Desired[ConduitSpec]) -> Existing:
        """Create the workspace if it does not exist, and clone the source dashboard into it."""
        wanted = desired.wanted
        workspace = self._by_ext_id.get(str(wanted.ext_id)) or await self._create_workspace(transport, wanted)
        clone = api.clone_dashboard(wanted.source_dashboard, workspace.id, name=wanted.name)
        cloned = await transport.run(replace(clone, tenant=desired.tenant))
        return Existing(str(cloned.id), str(workspace.id), desired.spec_hash)

    async def update(self, transport: AsyncTransport, desired: Desired[ConduitSpec], existing: Existing) -> Existing:
        """Do nothing: Conduit cannot change a dashboard."""
        return existing

    async def delete(self, transport: AsyncTransport, tenant: str, existing: Existing) -> None:
        """Disable the tenant's workspace. If the list does not have it, do nothing.

        :raises AlreadyExistsError: the workspace now has another ``ext_id``, so it was not disabled.
        :raises NotFoundError: how Conduit words a 404 is not documented, so only the list shows whether it is gone.
        """
        workspace = self._by_id.get(int(existing.embed_id))
        if workspace is None:
            return
        if _hash(workspace.ext_id or "") != existing.spec_hash.partition(".")[0]:
            raise AlreadyExistsError(
                f"workspace {workspace.id} now has the ext_id {workspace.ext_id!r}; it was not disabled",
                endpoint=api.DISABLE_WORKSPACE.name,
                tenant=tenant,
                dashboard=existing.dashboard_id,
            )
        await transport.run(api.disable_workspace(workspace.id))

    async def url(self, transport: AsyncTransport, existing: Existing) -> str | None:
        """The URL that shows the dashboard.

        :raises NotFoundError: the list does not have the workspace.
        """
        await self._survey_once(transport)
        workspace = self._by_id.get(int(existing.embed_id))
        if workspace is None:
            raise NotFoundError(
                f"Conduit lists no workspace {existing.embed_id}",
                endpoint=api.SHARE_URL.name,
                dashboard=existing.dashboard_id,
            )
        share = api.share_url(int(existing.dashboard_id), workspace_token=workspace.token)
        return await _as_workspace(transport, share)

    async def _survey_once(self, transport: AsyncTransport) -> None:
        """Survey if this has not been done yet. If the survey fails, it fails for every tenant without a new call."""
        async with self._survey_lock:
            if self._survey_error is not None:
                raise self._survey_error.with_traceback(None)
            if not self._surveyed:
                try:
                    await self.survey(transport)
                except ApiError as error:
                    self._survey_error = error
                    raise

    async def _create_workspace(self, transport: AsyncTransport, wanted: ConduitSpec) -> api.Workspace:
        try:
            workspace = await transport.run(api.create_workspace(str(wanted.workspace_name), ext_id=wanted.ext_id))
        except ApiError as error:
            if not api.may_exist(error):
                raise
            await self.survey(transport)
            existing = self._by_ext_id.get(str(wanted.ext_id))
            if existing is None:
                # After an ambiguous failure, the engine creates it again.
                raise error from None
            return existing
        self._created.append(workspace)
        self._add(workspace)
        return workspace

    def _add(self, workspace: api.Workspace) -> None:
        self._by_id[workspace.id] = workspace
        self._by_ext_id.setdefault(workspace.ext_id, workspace)


async def _as_workspace(transport: AsyncTransport, request: Request[T]) -> T:
    """Run a request that has a workspace's token. A refusal of that token says nothing about the organization's."""
    try:
        return await transport.run(request)
    except AuthenticationError as error:
        refused = NotAllowedError(
            error.message,
            status=error.status,
            code=error.code,
            endpoint=error.endpoint,
            tenant=error.tenant,
            dashboard=error.dashboard,
        )
        refused.from_api = error.from_api
        refused.hint = "This is about the token of the tenant's workspace."
        raise refused from error


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
