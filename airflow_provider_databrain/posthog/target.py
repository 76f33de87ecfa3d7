"""PostHog's target: each tenant's dashboard carries a mark, is found again by it, and is shared as the spec says.

What always holds:

- PostHog chooses the ids, and each create makes another dashboard. So the project's dashboards are listed before the
  first create, and again after a batch in which any dashboard was created.
- The mark is there from the first moment (see ``posthog.api.marks``).
- Every answer is compared with the spec. What differs is set before the dashboard is shared (see
  ``posthog.api.fields``). So a public page never shows the values of another tenant or of the copied dashboard.
- If two runs create a dashboard for one tenant at the same time, the older one stays.
- A dashboard is deleted only if the list shows that it still carries the tenant's mark.
- A dashboard that the ledger knows and whose mark was removed is not created a second time. The next update writes the
  mark again.
- A spec hash has three parts (see ``_Parts``), so an update sends only what differs. A part that is not known
  never counts as equal.
- Updates with tags that are new in the project go one at a time, because PostHog deletes unused tags whenever it
  writes tags. Other tasks may disturb them; then the answer is 500, and the update is sent again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
)
from airflow_provider_databrain.client.models import Sent, explain, wire
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.posthog.api import dashboards, marks, sharing
from airflow_provider_databrain.posthog.api.endpoint import is_gone
from airflow_provider_databrain.posthog.api.fields import changeable, is_as_asked
from airflow_provider_databrain.posthog.api.models import Dashboard, NewDashboard, SharingSettings
from airflow_provider_databrain.posthog.tag_writes import Tags
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.target import Desired, Existing

log = logging.getLogger(__name__)
NEW = "new"
"""The sharing part of a new dashboard's spec hash: nothing has been sent about sharing yet."""
SETTLE_SECONDS = (1.0, 2.0, 4.0)
"""How long a dashboard without its template's tiles is waited for, each time before another look."""
NEAR_LIMIT = 4_500
"""Dashboards in a project from which on a warning is logged. PostHog's newer code counts them, up to 5,000."""


class ShareSpec(Sent):
    """How a tenant's dashboard is shared.

    :param enabled: False if only members of the project may see the dashboard.
    :param settings: how the public page looks, see ``posthog.api.models.SharingSettings``.
    :param password_required: ask visitors for a password; needs an organization with advanced permissions.
    """

    enabled: bool = True
    settings: SharingSettings | None = None
    password_required: bool | None = None


class PostHogSpec(NewDashboard):
    """The fields of a spec for PostHog. Other fields: see ``NewDashboard``.

    :param purpose: what the dashboard is for. The mark is made from the tenant's key and the purpose. If another tenant
        table uses the same project, or the same tenants get a second dashboard, give each its own purpose.
    :param sharing: how the dashboard is shared; by default it is shared without a password.
    """

    purpose: str = ""
    sharing: ShareSpec = ShareSpec()
    use_dashboard: Any = None  # a number, or its digits if a column holds a string


UNSHARED = ShareSpec(enabled=False)


class Wanted(NamedTuple):
    """One tenant's dashboard.

    :param new: its fields, without the mark.
    :param sharing: how it is shared.
    :param mark: what it is found again by.
    """

    new: NewDashboard
    sharing: ShareSpec
    mark: str


class PostHogTarget:
    """What the engine asks of PostHog (see ``tenants.engine.target.Target``). Each batch needs a new instance.

    :param scope: the project, as the ledger names it.
    :param base_url: URL that the public URLs begin with.
    :param delete_insights: when a dashboard is deleted, also delete its insights that are on no other dashboard.
    """

    system = "posthog"
    look_first = True
    can_duplicate = True
    has_shared_places = False
    creates_once = True

    def __init__(self, *, scope: str, base_url: str = "", delete_insights: bool = False) -> None:
        self.scope = scope
        self._base_url = base_url
        self._delete_insights = delete_insights
        self._listed: dict[str, list[Dashboard]] = {}
        self._by_id: dict[int, Dashboard] = {}
        self._refused: dict[object, ApiError] = {}
        self._tags = Tags()
        self._created: dict[str, int] = {}
        self._most_seen = 0

    @property
    def options(self) -> str:
        """Version of the spec hash's content."""
        return "1"

    def desire(self, tenant: str, fields: Mapping[str, Any]) -> Desired[Wanted]:
        """Check one tenant's spec as strictly as PostHog does.

        :raises SpecError: the spec is invalid.
        """
        try:
            spec = PostHogSpec.model_validate(fields)
        except ValidationError as invalid:
            raise SpecError(f"tenant {tenant!r}: {'; '.join(explain(invalid))}") from None
        origin = _number(spec.use_dashboard, tenant)
        if origin is not None and spec.use_template is not None:
            raise SpecError(f"tenant {tenant!r}: use_template and use_dashboard cannot be used together")
        values = {name: getattr(spec, name) for name in NewDashboard.model_fields} | {"use_dashboard": origin}
        mark = marks.mark_of(f"{tenant}\0{spec.purpose}" if spec.purpose else tenant)
        wanted = Wanted(NewDashboard.model_construct(**values), spec.sharing, mark)
        return Desired(tenant, None, _Parts.of(wanted).text(), wanted)

    def differs(self, desired: Desired[Wanted], existing: Existing) -> bool:
        """Whether the dashboard's fields or its sharing differ.

        :raises SpecError: the purpose differs from the one that the ledger knows.
        """
        wanted, known = _Parts.parse(desired.spec_hash), _Parts.parse(existing.spec_hash)
        if wanted.mark != known.mark:
            raise SpecError(
                f"tenant {desired.tenant!r}: the spec's purpose is not what dashboard {existing.dashboard_id} was "
                "created with. Undo the change, or remove the tenant's dashboard first. A second dashboard for the "
                "same tenants needs its own ledger_table."
            )
        return wanted != known

    async def survey(self, transport: AsyncTransport) -> None:
        """List the project's dashboards."""
        listed = sorted(await transport.run(dashboards.list_dashboards()), key=lambda dashboard: dashboard.id)
        self._listed, self._by_id = {}, {}
        if len(listed) >= NEAR_LIMIT > self._most_seen:
            log.warning(
                "The project has %d dashboards. PostHog may refuse more than 5,000 in a project: plan a second project",
                len(listed),
            )
        self._most_seen = max(self._most_seen, len(listed))
        for dashboard in listed:
            self._by_id[dashboard.id] = dashboard
            self._tags.note(dashboard.tags or ())
            for mark in marks.possible_marks(dashboard):
                self._listed.setdefault(mark, []).append(dashboard)

    @property
    def lists_nothing(self) -> bool:
        """Whether the last survey shows nothing at all."""
        return not self._by_id

    def lists(self, existing: Existing) -> bool:
        """Whether the last survey shows this dashboard."""
        return int(existing.dashboard_id) in self._by_id

    async def is_gone(self, transport: AsyncTransport, existing: Existing) -> bool:
        """Whether PostHog itself says that this dashboard does not exist, or that it is deleted."""
        try:
            await transport.run(dashboards.retrieve_dashboard(int(existing.dashboard_id)))
        except NotFoundError as error:
            return is_gone(error)
        return False

    async def find(self, transport: AsyncTransport, desired: Desired[Wanted], *, ours: bool) -> Existing | None:
        """The oldest dashboard with the tenant's mark.

        :raises MalformedAnswerError: the list does not show the dashboard that was created in this batch.
        """
        mark = desired.wanted.mark
        listed = self._listed.get(mark)
        if listed:
            return self._found(desired, listed[0])
        if mark in self._created and self._created[mark] not in self._by_id:
            error = MalformedAnswerError(
                "the dashboard was created, and the list does not show it; no second one is created. The next run "
                "looks again",
                ambiguous=False,
            )
            error.endpoint, error.dashboard = "survey", str(self._created[mark])
            raise error
        return None

    def find_known(self, desired: Desired[Wanted], existing: Existing) -> Existing | None:
        """The ledger's dashboard, if the list shows it without a mark: somebody has removed the mark.

        :raises AlreadyExistsError: it carries the mark of another tenant.
        """
        listed = self._by_id.get(int(existing.dashboard_id))
        if listed is None:
            return None
        _check_mark(listed, desired.tenant, desired.wanted.mark)
        return self._found(desired, listed)

    def _found(self, desired: Desired[Wanted], listed: Dashboard) -> Existing:
        mark, number = desired.wanted.mark, str(listed.id)
        lacks_sharing = desired.wanted.sharing.enabled and not listed.is_shared
        unfinished = lacks_sharing or marks.is_unfinished(listed, mark)
        # The list does not have all fields of the spec, so only the mark is known.
        return Existing(number, number, _Parts(mark, "", "").text(), unfinished=unfinished)

    def duplicates(self, desired: Desired[Wanted]) -> Sequence[Existing]:
        """The other dashboards with the tenant's mark, which are younger."""
        unknown = _Parts(desired.wanted.mark, "", "").text()
        listed = self._listed.get(desired.wanted.mark, [])[1:]
        return [Existing(str(dashboard.id), str(dashboard.id), unknown) for dashboard in listed]

    def leftovers(self, existing: Existing) -> Sequence[Existing]:
        """The other dashboards with the tenant's mark: a create that ended late may have left one."""
        listed = self._listed.get(_Parts.parse(existing.spec_hash).mark, [])
        return [
            Existing(str(dashboard.id), str(dashboard.id), existing.spec_hash)
            for dashboard in listed
            if dashboard.id != int(existing.dashboard_id)
        ]

    async def create(self, transport: AsyncTransport, desired: Desired[Wanted]) -> Existing:
        """Create the dashboard and share it.

        :raises AlreadyExistsError: another run may have deleted the new dashboard as the younger of two.
        """
        wanted = desired.wanted
        origin = (wanted.new.use_template, wanted.new.use_dashboard)
        if origin in self._refused:
            # PostHog has already refused this template or source dashboard in this batch. Each try would leave a
            # half-made dashboard behind, and finding it takes a list call.
            raise _same_refusal(self._refused[origin])
        try:
            dashboard = await transport.run(marks.create_unfinished(wanted.new, wanted.mark))
        except InvalidRequestError as refused:
            if refused.message.startswith(marks.HALF_MADE_AFTER):
                self._refused[origin] = refused
            raise
        self._created[wanted.mark] = dashboard.id
        existing = Existing(str(dashboard.id), str(dashboard.id), _Parts.of(wanted)._replace(sharing=NEW).text())
        try:
            if not is_as_asked(marks.finished_fields(dashboard, wanted.new, wanted.mark), dashboard):
                await self._set_fields(transport, desired, dashboard)
            return await self.update(transport, desired, existing)
        except NotFoundError as gone:
            if not is_gone(gone):
                raise
            del self._created[wanted.mark]
            raise AlreadyExistsError(
                "the new dashboard no longer exists; another run may have created one too, and deleted this one as the "
                "younger",
                endpoint=gone.endpoint,
                dashboard=gone.dashboard,
            ) from None

    async def update(self, transport: AsyncTransport, desired: Desired[Wanted], existing: Existing) -> Existing:
        """Set the dashboard's fields, its sharing, or both; only what differs.

        :raises NotFoundError: the dashboard no longer exists, if ``from_api`` is True.
        :raises InvalidRequestError: PostHog does not know the project; the dashboard may exist.
        """
        try:
            return await self._update(transport, desired, existing)
        except NotFoundError as error:
            if error.from_api and not is_gone(error):
                raise _same_refusal(error) from None
            raise

    async def _update(self, transport: AsyncTransport, desired: Desired[Wanted], existing: Existing) -> Existing:
        wanted = desired.wanted
        number = int(existing.dashboard_id)
        parts, known = _Parts.parse(desired.spec_hash), _Parts.parse(existing.spec_hash)
        if parts.fields != known.fields:
            shown = self._by_id.get(number) or Dashboard(id=number, description=f"[{wanted.mark}]")
            await self._set_fields(transport, desired, shown)
        # A new dashboard is not shared.
        known_sharing = _hash(wire(UNSHARED)) if known.sharing == NEW else known.sharing
        if parts.sharing != known_sharing:
            await transport.run(
                sharing.share(
                    number,
                    enabled=wanted.sharing.enabled,
                    settings=wanted.sharing.settings,
                    password_required=wanted.sharing.password_required,
                )
            )
        return Existing(existing.dashboard_id, existing.embed_id, desired.spec_hash)

    async def _set_fields(self, transport: AsyncTransport, desired: Desired[Wanted], shown: Dashboard) -> None:
        """Set the spec's fields. A field that the spec does not have stays: users may have set it.

        :raises MalformedAnswerError: an earlier create did not come to its template's tiles. The dashboard is deleted.
        :raises AlreadyExistsError: the dashboard carries the mark of another tenant.
        """
        wanted = desired.wanted
        tags = wanted.new.tags
        async with self._tags.writing(tags):
            answer = await transport.run(marks.finish(shown, wanted.new, wanted.mark))
            _check_mark(answer, desired.tenant, wanted.mark)
            if wanted.mark not in marks.possible_marks(answer) or marks.is_unfinished(answer, wanted.mark):
                # What was known of the dashboard was older than the dashboard.
                answer = await transport.run(marks.finish(answer, wanted.new, wanted.mark))
        # An organization without tagging ignores them, so they disturb no other update.
        self._tags.note(answer.tags or tags or ())
        found_by_mark = shown.tiles is None and marks.is_unfinished(shown, wanted.mark)
        if found_by_mark and wanted.new.use_template and answer.tiles == []:
            for seconds in SETTLE_SECONDS:
                # PostHog may still be at work on the create. Its end would undo the update.
                await asyncio.sleep(seconds)
                if (await transport.run(dashboards.retrieve_dashboard(shown.id))).tiles:
                    await transport.run(marks.finish(shown, wanted.new, wanted.mark))
                    return
            await transport.run(dashboards.delete_dashboard(shown.id))
            error = MalformedAnswerError(
                "a create that failed left the dashboard without the tiles of its template; it was deleted, and the "
                "next run creates it again",
                ambiguous=False,
            )
            error.endpoint, error.dashboard = dashboards.CREATE_DASHBOARD.name, str(shown.id)
            raise error

    async def delete(self, transport: AsyncTransport, tenant: str, existing: Existing) -> None:
        """Delete the dashboard. PostHog can restore it. If the list does not have it, do nothing.

        :raises AlreadyExistsError: the dashboard does not carry the tenant's mark, so it was not deleted.
        :raises NotFoundError: a 404 that may not be the API's own; it does not prove that the dashboard is gone.
        """
        listed = self._by_id.get(int(existing.dashboard_id))
        if listed is None:
            return
        if _Parts.parse(existing.spec_hash).mark not in marks.possible_marks(listed):
            raise AlreadyExistsError(
                "the dashboard no longer carries the tenant's mark at the end of its description; it was not deleted",
                endpoint=dashboards.DELETE_DASHBOARD.name,
                tenant=tenant,
                dashboard=existing.dashboard_id,
            )
        try:
            await transport.run(
                dashboards.delete_dashboard(int(existing.dashboard_id), delete_insights=self._delete_insights)
            )
        except NotFoundError as error:
            if not is_gone(error):
                raise

    async def url(self, transport: AsyncTransport, existing: Existing) -> str | None:
        """The public URL; None if the dashboard is not shared."""
        shared = await transport.run(sharing.get_sharing(int(existing.dashboard_id)))
        return sharing.public_url(self._base_url, shared)


class _Parts(NamedTuple):
    """The parts of a spec hash: the mark, and one hash each for what the two kinds of update change."""

    mark: str
    fields: str
    sharing: str

    @classmethod
    def of(cls, wanted: Wanted) -> _Parts:
        return cls(
            wanted.mark,
            _hash(changeable(wanted.new)),
            _hash(wire(wanted.sharing)),
        )

    @classmethod
    def parse(cls, text: str) -> _Parts:
        mark, fields, sharing = text.split(".")
        return cls(mark, fields, sharing)

    def text(self) -> str:
        return ".".join(self)


def _check_mark(shown: Dashboard, tenant: str, mark: str) -> None:
    """Raise if a dashboard carries the mark of another tenant, and not this one's."""
    found = marks.possible_marks(shown)
    if mark not in found and any(map(marks.is_mark, found)):
        raise AlreadyExistsError(
            "the dashboard that the ledger names carries the mark of another tenant or purpose; it was not shared for "
            "this tenant, and no other was created. Correct the ledger's row, or the end of the description",
            endpoint="adoption",
            tenant=tenant,
            dashboard=str(shown.id),
        )


def _number(value: object, tenant: str) -> int | None:
    if value is None:
        return None
    digits = str(value)
    if not (digits.isascii() and digits.isdigit() and int(digits)):
        raise SpecError(f"tenant {tenant!r}: use_dashboard is {value!r}; it must be the number of a dashboard")
    return int(digits)


def _same_refusal(error: ApiError) -> InvalidRequestError:
    """A new error with the same content."""
    return InvalidRequestError(
        error.message, status=error.status, code=error.code, endpoint=error.endpoint, dashboard=error.dashboard
    )


def _hash(fields: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(fields, sort_keys=True).encode(), digest_size=8).hexdigest()
