"""Conduit: a tenant has a workspace, found by its ``ext_id``, and in it a clone, found by its name.

Conduit has no call that renames a dashboard or deletes one, so that nothing is updated, and removing a tenant
disables its workspace. Whether it keeps two workspaces with one ``ext_id`` apart is not documented; of several, the
oldest counts.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from airflow_provider_databrain.client.errors import AlreadyExistsError, ApiError, NotFoundError
from airflow_provider_databrain.client.models import Name, Sent, explain
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.conduit import api
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.target import Desired, Existing


class ConduitSpec(Sent):
    """What a spec for Conduit says.

    :param source_dashboard: number of the organization's dashboard that is cloned.
    :param name: the clone's name, by which it is found again in the tenant's workspace.
    :param ext_id: of the workspace; the tenant's key where it is not given.
    :param workspace_name: of a workspace that is yet to be created; ``ext_id`` where it is not given.
    """

    source_dashboard: int
    name: Name
    ext_id: Name | None = None
    workspace_name: Name | None = None


class ConduitTarget:
    """Conduit's side of the engine; one for each batch.

    :param scope: the organization, as the ledger names it.
    """

    system = "conduit"
    look_first = True
    creates_once = True
    # A second clone could be seen, but not be deleted.
    can_duplicate = False
    has_shared_places = True

    def __init__(self, *, scope: str) -> None:
        self.scope = scope
        self._by_ext_id: dict[str, api.Workspace] = {}
        self._by_id: dict[int, api.Workspace] = {}
        self._made: list[api.Workspace] = []
        self._surveyed = False
        self._unseen: ApiError | None = None
        self._looking = asyncio.Lock()

    @property
    def options(self) -> str:
        """The version of what the hashes are made of."""
        return "1"

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[ConduitSpec]:
        """Check one tenant's spec."""
        try:
            spec = ConduitSpec.model_validate(fields)
        except ValidationError as invalid:
            raise SpecError(f"tenant {tenant!r}: {'; '.join(explain(invalid))}") from None
        if spec.source_dashboard < 1:
            raise SpecError(f"tenant {tenant!r}: source_dashboard is the number of a dashboard")
        ext_id = spec.ext_id or tenant
        wanted = spec.model_copy(update={"ext_id": ext_id, "workspace_name": spec.workspace_name or ext_id})
        return Desired(
            tenant, None, f"{_hash(ext_id)}.{_hash(spec.name)}", wanted, f"the workspace with ext_id {ext_id!r}"
        )

    def differs(self, desired: Desired[ConduitSpec], existing: Existing) -> bool:
        """Nothing can be changed; what the dashboard is found by must not.

        :raises SpecError: the ledger knows another workspace or name.
        """
        if desired.spec_hash != existing.spec_hash:
            raise SpecError(
                f"tenant {desired.tenant!r}: ext_id or name is not what dashboard {existing.dashboard_id} was made "
                "with, and Conduit can change neither: undo the change, or remove the tenant's workspace first. A "
                "second dashboard for the same tenants needs a ledger_table of its own."
            )
        return False

    async def survey(self, transport: AsyncTransport) -> None:
        """List the organization's workspaces."""
        listed = await transport.run(api.list_workspaces())
        # Not before: others must not see half a list. One that was under way when a workspace was made may lack it.
        self._by_ext_id, self._by_id = {}, {}
        for workspace in sorted([*listed, *self._made], key=lambda one: one.id):
            self._know(workspace)
        self._surveyed = True

    async def find(self, transport: AsyncTransport, desired: Desired[ConduitSpec], *, ours: bool) -> Existing | None:
        """The oldest dashboard of that name in the tenant's workspace; one call where there is a workspace."""
        workspace = self._by_ext_id.get(str(desired.wanted.ext_id))
        if workspace is None:
            return None
        listed = await transport.run(api.list_dashboards(workspace_token=workspace.token))
        named = sorted(one.id for one in listed if one.name == desired.wanted.name)
        return Existing(str(named[0]), str(workspace.id), desired.spec_hash) if named else None

    def duplicates(self, desired: Desired[ConduitSpec]) -> Sequence[Existing]:
        """None that could be deleted."""
        return ()

    async def create(self, transport: AsyncTransport, desired: Desired[ConduitSpec]) -> Existing:
        """Create the workspace where there is none, and clone the source dashboard into it."""
        wanted = desired.wanted
        workspace = self._by_ext_id.get(str(wanted.ext_id)) or await self._created(transport, wanted)
        clone = api.clone_dashboard(wanted.source_dashboard, workspace.id, name=wanted.name)
        made = await transport.run(replace(clone, tenant=desired.tenant))
        return Existing(str(made.id), str(workspace.id), desired.spec_hash)

    async def update(self, transport: AsyncTransport, desired: Desired[ConduitSpec], existing: Existing) -> Existing:
        """Nothing to do."""
        return existing

    async def delete(self, transport: AsyncTransport, tenant: str, existing: Existing) -> None:
        """Disable the tenant's workspace, unless the list shows that it has another ``ext_id`` now."""
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
        with suppress(NotFoundError):
            await transport.run(api.disable_workspace(workspace.id))

    async def url(self, transport: AsyncTransport, existing: Existing) -> str | None:
        """The shared address of the dashboard."""
        await self._look_once(transport)
        workspace = self._by_id.get(int(existing.embed_id))
        if workspace is None:
            raise NotFoundError(
                f"Conduit lists no workspace {existing.embed_id}",
                endpoint=api.SHARE_URL.name,
                dashboard=existing.dashboard_id,
            )
        return await transport.run(api.share_url(int(existing.dashboard_id), workspace_token=workspace.token))

    async def _look_once(self, transport: AsyncTransport) -> None:
        """Survey, unless that was done; where it failed, it is not done anew for each tenant."""
        async with self._looking:
            if self._unseen is not None:
                raise self._unseen.with_traceback(None)
            if not self._surveyed:
                try:
                    await self.survey(transport)
                except ApiError as error:
                    self._unseen = error
                    raise

    async def _created(self, transport: AsyncTransport, wanted: ConduitSpec) -> api.Workspace:
        try:
            workspace = await transport.run(api.create_workspace(str(wanted.workspace_name), ext_id=wanted.ext_id))
        except ApiError as error:
            if not api.may_be_there(error):
                raise
            # If it is not, and the failure was an unclear one, the engine asks for it again.
            await self.survey(transport)
            found = self._by_ext_id.get(str(wanted.ext_id))
            if found is None:
                raise error from None
            return found
        self._made.append(workspace)
        self._know(workspace)
        return workspace

    def _know(self, workspace: api.Workspace) -> None:
        self._by_id[workspace.id] = workspace
        if workspace.ext_id is not None:
            self._by_ext_id.setdefault(workspace.ext_id, workspace)


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
