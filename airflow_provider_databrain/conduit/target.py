"""Conduit's target: each tenant has a workspace, and in it a clone of the source dashboard.

What always holds:

- The workspace is found by its ``ext_id``, and the clone by its name. If several match, the oldest counts. Conduit's
  reference does not say whether an ``ext_id`` is unique.
- Nothing else shows whose a dashboard is: Conduit has no place for a mark. A dashboard that the organization's own list
  has too never counts as a tenant's.
- An answer that contradicts an earlier one is not believed: a list without a workspace that was created before, a new
  workspace or clone with the id of another one, a clone with another name.
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
    MalformedAnswerError,
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
        self._by_ext_id: dict[str | None, list[api.Workspace]] = {}
        self._by_id: dict[int, api.Workspace] = {}
        self._created: list[api.Workspace] = []
        self._organization: list[api.Dashboard] | None = None
        self._organization_lock = asyncio.Lock()
        self._workspace_of: dict[int, int] = {}
        self._changed_name: ApiError | None = None
        self._late: str | None = None
        self._owners: dict[str, str] = {}
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
        self._note(existing.dashboard_id, existing.embed_id, desired)
        return False

    async def survey(self, transport: AsyncTransport) -> None:
        """List the organization's workspaces."""
        created = list(self._created)
        listed = await transport.run(api.list_workspaces())
        self._late = _late(listed, created)
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
        """The oldest dashboard with that name in the tenant's workspace. Takes two calls if the workspace exists.

        :raises AlreadyExistsError: nothing shows whether it is the tenant's or the organization's.
        :raises MalformedAnswerError: the list has no workspace for the tenant, although an earlier try may have made
            one, and it lacks another one that was just created.
        """
        for workspace in self._workspaces(desired.wanted, desired.tenant, may_exist=ours):
            clone = await self._find_in(transport, desired, workspace)
            if clone is not None:
                return clone
        return None

    async def _find_in(
        self, transport: AsyncTransport, desired: Desired[ConduitSpec], workspace: api.Workspace
    ) -> Existing | None:
        name = desired.wanted.name
        listed = await _as_workspace(transport, api.list_dashboards(workspace_token=workspace.token), desired.tenant)
        if all(dashboard.name != name for dashboard in listed):
            return None
        async with self._organization_lock:
            if self._organization is None:
                self._organization = await transport.run(api.list_dashboards())
        try:
            found = api.find_clone(name, listed, self._organization)
        except (AlreadyExistsError, MalformedAnswerError) as error:
            error.tenant = desired.tenant
            raise
        return self._note(str(found), str(workspace.id), desired)

    def find_known(self, desired: Desired[ConduitSpec], existing: Existing) -> Existing | None:
        """Always None: the list shows what ``find`` looks for, or nothing proves whose it is."""
        return None

    def duplicates(self, desired: Desired[ConduitSpec]) -> Sequence[Existing]:
        """Always empty: Conduit cannot delete a dashboard."""
        return ()

    def leftovers(self, existing: Existing) -> Sequence[Existing]:
        """Always empty: removing the workspace removes all that is in it."""
        return ()

    async def create(self, transport: AsyncTransport, desired: Desired[ConduitSpec]) -> Existing:
        """Create the workspace if it does not exist, and clone the source dashboard into it."""
        wanted = desired.wanted
        if self._changed_name is not None:
            raise _not_sent(self._changed_name, desired.tenant)
        existing = self._by_ext_id.get(wanted.ext_id)
        workspace = existing[0] if existing else await self._create_workspace(transport, desired)
        clone = api.clone_dashboard(wanted.source_dashboard, workspace.id, name=wanted.name)
        try:
            cloned = await transport.run(replace(clone, tenant=desired.tenant))
        except MalformedAnswerError as error:
            if not error.ambiguous:
                self._changed_name = error
            raise
        is_others = self._workspace_of.setdefault(cloned.id, workspace.id) != workspace.id
        if cloned.id == wanted.source_dashboard or is_others:
            # The answer may be about another dashboard. The workspace's own list decides.
            found = await self._find_in(transport, desired, workspace)
            if found is None:
                raise _not_a_clone(cloned.id, workspace.id, desired.tenant)
            return found
        return self._note(str(cloned.id), str(workspace.id), desired)

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
        _check_owner(workspace, existing, api.DISABLE_WORKSPACE.name, "it was not disabled", tenant)
        await transport.run(api.disable_workspace(workspace.id))

    async def url(self, transport: AsyncTransport, existing: Existing) -> str | None:
        """The URL that shows the dashboard.

        :raises NotFoundError: the list does not have the workspace.
        :raises AlreadyExistsError: the workspace now has another ``ext_id``, so it may be another tenant's.
        """
        await self._survey_once(transport)
        workspace = self._by_id.get(int(existing.embed_id))
        if workspace is None:
            raise NotFoundError(
                f"Conduit lists no workspace {existing.embed_id}",
                endpoint=api.SHARE_URL.name,
                dashboard=existing.dashboard_id,
            )
        # The engine asks for an address without the hash.
        known = existing.spec_hash or self._owners.get(existing.embed_id, "")
        if known:
            _check_owner(workspace, replace(existing, spec_hash=known), api.SHARE_URL.name, "its URL was not requested")
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

    async def _create_workspace(self, transport: AsyncTransport, desired: Desired[ConduitSpec]) -> api.Workspace:
        wanted = desired.wanted
        create = api.create_workspace(str(wanted.workspace_name), ext_id=wanted.ext_id)
        try:
            workspace = await transport.run(create)
        except ApiError as error:
            if not api.may_exist(error):
                raise
            await self.survey(transport)
            existing = self._workspaces(wanted, desired.tenant, may_exist=error.ambiguous)
            if not existing:
                # After an ambiguous failure, the engine creates it again.
                api.add_hint(error)
                raise error from None
            return existing[0]
        api.check_new(workspace, filter(None, [self._by_id.get(workspace.id)]))
        self._created.append(workspace)
        self._add(workspace)
        return workspace

    def _note(self, dashboard_id: str, workspace_id: str, desired: Desired[ConduitSpec]) -> Existing:
        """The tenant's dashboard; from now on it is known whose workspace that is."""
        self._owners[workspace_id] = desired.spec_hash
        return Existing(dashboard_id, workspace_id, desired.spec_hash)

    def _workspaces(self, wanted: ConduitSpec, tenant: str, *, may_exist: bool) -> Sequence[api.Workspace]:
        """The workspaces with that ``ext_id`` in the last survey, the oldest first.

        :param may_exist: a create that ended unclearly may have made one.
        :raises MalformedAnswerError: it may exist, and the survey does not prove that it does not.
        """
        existing = self._by_ext_id.get(wanted.ext_id, [])
        if may_exist and not existing and self._late is not None:
            error = MalformedAnswerError(self._late, transient=False, ambiguous=False)
            error.endpoint, error.tenant = api.LIST_WORKSPACES.name, tenant
            raise error
        return existing

    def _add(self, workspace: api.Workspace) -> None:
        if workspace.id not in self._by_id:
            self._by_ext_id.setdefault(workspace.ext_id, []).append(workspace)
        self._by_id[workspace.id] = workspace


def _check_owner(
    workspace: api.Workspace, existing: Existing, endpoint: str, done: str, tenant: str | None = None
) -> None:
    """Check that a workspace still has the ``ext_id`` of the tenant whose dashboard it has."""
    if _hash(workspace.ext_id or "") != existing.spec_hash.partition(".")[0]:
        raise AlreadyExistsError(
            f"workspace {workspace.id} now has the ext_id {workspace.ext_id!r}; {done}",
            endpoint=endpoint,
            tenant=tenant,
            dashboard=existing.dashboard_id,
        )


def _late(listed: Sequence[api.Workspace], created: Sequence[api.Workspace]) -> str | None:
    """Why a list does not show that a workspace does not exist; None if nothing speaks against it.

    :param created: the workspaces whose creation was answered before the list was requested.
    """
    ext_ids = {workspace.id: workspace.ext_id for workspace in listed}
    for workspace in created:
        number, ext_id = workspace.id, workspace.ext_id
        if number not in ext_ids or ext_ids[number] != ext_id:
            shows = f"shows it with {ext_ids[number]!r}" if number in ext_ids else "does not show it"
            return (
                f"the list has no workspace for the tenant, but it proves nothing: workspace {number} was just created "
                f"with the ext_id {ext_id!r}, and the list {shows}. So the list may be late or cut off, or Conduit "
                "changes an ext_id. Nothing was created again. The next run looks again; if this stays, look at the "
                "tenant's workspace in Conduit"
            )
    return None


def _not_a_clone(dashboard_id: int, workspace_id: int, tenant: str) -> MalformedAnswerError:
    error = MalformedAnswerError(
        f"the answer has dashboard {dashboard_id}, which was there before, and the list of workspace {workspace_id} "
        "has no dashboard with the clone's name. Nothing shows which dashboard is the tenant's. The next "
        "run looks again",
        transient=False,
        ambiguous=False,
    )
    error.endpoint, error.tenant, error.dashboard = api.CLONE_DASHBOARD.name, tenant, str(dashboard_id)
    return error


def _not_sent(earlier: ApiError, tenant: str) -> MalformedAnswerError:
    error = MalformedAnswerError(
        f"nothing was sent, because of the clone of tenant {earlier.tenant!r}: {earlier.message}",
        transient=False,
        ambiguous=False,
    )
    error.endpoint, error.tenant = api.CLONE_DASHBOARD.name, tenant
    return error


async def _as_workspace(transport: AsyncTransport, request: Request[T], tenant: str | None = None) -> T:
    """Run a request that has a workspace's token. A refusal of that token says nothing about the organization's."""
    try:
        return await transport.run(replace(request, tenant=tenant) if tenant else request)
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
        refused.hint = (
            "This is about the token of the tenant's workspace. If the workspace is disabled, the tenant needs another "
            "ext_id."
        )
        raise refused from error


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
