"""PostHog's target in the engine: each tenant gets one dashboard, shared as the spec says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    InvalidRequestError,
    MalformedAnswerError,
    NotFoundError,
    ServerError,
)
from airflow_provider_databrain.client.transport.aio import AsyncTransport
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.posthog.templates import TEMPLATES, fill
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api.marks import create_unfinished, mark_of
from airflow_provider_databrain.posthog.api.models import Dashboard
from airflow_provider_databrain.posthog.target import PostHogTarget, Wanted
from airflow_provider_databrain.tenants.engine.spec import SpecError
from airflow_provider_databrain.tenants.engine.target import Desired, Existing
from tests.databases import Database
from tests.posthog.runs import SPEC, TENANTS, Runs, counts
from tests.posthog.support import contents, names, posthog_server, sent

pytestmark = pytest.mark.usefixtures("fast_retries")


@pytest.fixture
def runs(posthog: Emulator, sqlite: Database) -> Runs:
    """Runs with a ledger."""
    return Runs(posthog, sqlite)


@pytest.fixture
def bare(posthog: Emulator) -> Runs:
    """Runs without a ledger."""
    return Runs(posthog)


def kinds(emulator: Emulator) -> Counter[str]:
    """The calls since the last use of this function, without ids."""
    return Counter(
        "/".join("N" if part.isdigit() else part for part in call.rstrip("/").split("/")) for call in sent(emulator)
    )


async def test_each_tenant_gets_one_shared_dashboard_and_a_second_run_sends_nothing(
    runs: Runs, posthog: Emulator
) -> None:
    first = await runs.provision()
    assert counts(first) == {"created": 20}
    runs.check(first)
    assert kinds(posthog) == {"GET dashboards": 2, "POST dashboards": 20, "PATCH dashboards/N/sharing": 20}
    second = await runs.provision()
    assert (counts(second), second.ids) == ({"unchanged": 20}, first.ids)
    assert kinds(posthog) == {}


async def test_a_run_without_a_ledger_adopts_the_dashboards_of_the_last_run(bare: Runs, posthog: Emulator) -> None:
    first = await bare.provision()
    sent(posthog)
    second = await bare.provision()
    assert (counts(second), second.ids) == ({"adopted": 20}, first.ids)
    assert kinds(posthog) == {"GET dashboards": 1}
    bare.check(second)


@pytest.mark.parametrize("place", ["tag", "description", "name"])
async def test_the_mark_is_found_in_tag_description_or_name(bare: Runs, posthog: Emulator, place: str) -> None:
    first = await bare.provision(TENANTS[:3])
    for tenant, number in first.ids.items():
        # Earlier versions wrote a tag too. The name has the mark while a dashboard is not finished.
        mark = mark_of(tenant)
        changed: dict[str, dict[str, Any]] = {
            "tag": {"description": "mine", "tags": ["mine", mark]},
            "description": {"description": f"mine\n[{mark}]"},
            "name": {"description": "", "name": f"mine [{mark}]"},
        }
        posthog.posthog.change_dashboard(int(number), **changed[place])
    second = await bare.provision(TENANTS[:3])
    assert (counts(second), second.ids) == ({"adopted": 3}, first.ids)


async def test_tenants_whose_keys_differ_only_in_case_or_blanks_get_different_dashboards(runs: Runs) -> None:
    tenants = ["acme", "ACME", "Acme", " acme", "acme "]
    report = await runs.provision(tenants)
    runs.check(report, tenants)
    assert len(set(report.ids.values())) == 5


async def test_an_adopted_dashboard_is_updated_as_the_spec_says(runs: Runs, posthog: Emulator) -> None:
    found = posthog.posthog.add_dashboard(name="older", pinned=True, tags=[mark_of("t00")])
    report = await runs.provision(TENANTS[:2])
    assert counts(report) == {"created": 1, "adopted": 1}
    assert report.ids["t00"] == str(found)
    runs.check(report, TENANTS[:2])
    # A field that the spec does not have is not changed.
    assert posthog.posthog.found(found)[0].fields["pinned"] is True


async def test_an_update_sets_only_what_the_spec_says(runs: Runs, posthog: Emulator) -> None:
    spec: dict[str, Any] = {**SPEC, "filters": {"date_from": "-{days}d"}, "use_template": "WEBSITE_TRAFFIC"}
    first = await runs.provision(TENANTS[:2], spec, days=7)
    number = int(first.ids["t00"])
    mine: dict[str, Any] = {"pinned": True, "tags": ["mine"], "restriction_level": 37, "variables": {"v": 1}}
    posthog.posthog.change_dashboard(number, **mine)
    before = posthog.posthog.found(number)[0]
    sent(posthog)
    second = await runs.provision(TENANTS[:2], {**spec, "use_template": "DEFAULT_APP"}, days=14)
    assert counts(second) == {"updated": 2}
    assert kinds(posthog) == {"PATCH dashboards/N": 2}
    after = posthog.posthog.found(number)[0]
    assert after.fields == before.fields | {"filters": {"date_from": "-14d"}}
    assert second.ids == first.ids
    # Template and source dashboard are used only at creation.
    third = await runs.provision(TENANTS[:2], spec, days=14)
    assert (counts(third), kinds(posthog)) == ({"unchanged": 2}, {})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"description": "a", "tags": ["x"]}, {"description": "b", "tags": ["y"]}),
        ({"breakdown_colors": [{"a": 1}]}, {"breakdown_colors": []}),
        ({"data_color_theme_id": 1}, {"data_color_theme_id": 2}),
    ],
)
async def test_every_changeable_field_is_updated(
    runs: Runs, posthog: Emulator, before: dict[str, Any], after: dict[str, Any]
) -> None:
    await runs.provision(["t00"], {**SPEC, **before})
    report = await runs.provision(["t00"], {**SPEC, **after})
    assert counts(report) == {"updated": 1}
    found = posthog.posthog.found(int(report.ids["t00"]))[0].fields
    mark = mark_of("t00")
    expected = dict(after)
    if "tags" in after:
        # The mark stays.
        expected = {"description": f"b\n[{mark}]", "tags": ["y"]}
    assert {name: found[name] for name in after} == expected


SHARED: list[tuple[dict[str, Any], bool, Any, bool]] = [
    ({}, True, None, False),
    ({"settings": {"whitelabel": True}}, True, {"whitelabel": True}, False),
    ({"password_required": True}, True, None, True),
    ({"enabled": False, "settings": {"legend": True}}, False, {"legend": True}, False),
]


@pytest.mark.parametrize(("sharing", "enabled", "settings", "password"), SHARED)
async def test_a_dashboard_is_shared_as_the_spec_says_now_and_later(
    runs: Runs, posthog: Emulator, sharing: dict[str, Any], enabled: bool, settings: Any, password: bool
) -> None:
    first = await runs.provision(["t00"], {**SPEC, "sharing": {"enabled": False}})
    assert posthog.posthog.shares.of(int(first.ids["t00"])) is None
    sent(posthog)
    later = await runs.provision(["t00"], {**SPEC, "sharing": sharing})
    # A page with a password is opened by a second call, after the first one has shown that it asks for a password.
    calls = 2 if password else 1
    assert (counts(later), kinds(posthog)) == ({"updated": 1}, {"PATCH dashboards/N/sharing": calls})
    new = await runs.provision(["t01"], {**SPEC, "sharing": sharing})
    for report in (later, new):
        [number] = report.ids.values()
        share = posthog.posthog.shares.of(int(number))
        assert share is not None
        assert (share.enabled, share.settings, share.password_required) == (enabled, settings, password)


async def test_only_a_shared_dashboard_has_a_url(runs: Runs, posthog: Emulator) -> None:
    target = PostHogTarget(scope="1", base_url=posthog.url)
    shared = (await runs.provision(["t00"])).ids["t00"]
    private = (await runs.provision(["t01"], {**SPEC, "sharing": {"enabled": False}})).ids["t01"]
    async with AsyncTransport(runs.server) as api:
        assert await target.url(api, Existing(private, private, "")) is None
        share = posthog.posthog.shares.of(int(shared))
        assert share is not None
        address = await target.url(api, Existing(shared, shared, ""))
    assert address == f"{posthog.url}/shared/{share.access_token}"


async def test_another_purpose_is_another_dashboard(bare: Runs, runs: Runs, posthog: Emulator) -> None:
    sales = await bare.provision(TENANTS[:2])
    usage = await bare.provision(TENANTS[:2], {**SPEC, "purpose": "usage"})
    assert counts(usage) == {"created": 2}
    assert set(sales.ids.values()).isdisjoint(usage.ids.values())
    assert (await bare.provision(TENANTS[:2], {**SPEC, "purpose": "usage"})).ids == usage.ids
    assert (await runs.provision(TENANTS[:2])).ids == sales.ids
    sent(posthog)
    with pytest.raises(SpecError, match=r"'t00': the spec's purpose is not what dashboard \d+ was created with"):
        await runs.provision(TENANTS[:2], {**SPEC, "purpose": "usage"})
    assert sent(posthog) == []


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"nmae": "x"}, "nmae: Extra inputs are not permitted"),
        ({"name": "x" * 401}, "name: String should have at most 400 characters"),
        ({"restriction_level": 22}, "restriction_level"),
        ({"sharing": {"enbled": True}}, "sharing.enbled"),
        ({"sharing": {"settings": {"noHeadr": True}}}, "sharing.settings.noHeadr"),
        ({"use_dashboard": "x"}, "use_dashboard is 'x'; it must be the number of a dashboard"),
        ({"use_dashboard": 0}, "use_dashboard is 0"),
        ({"use_dashboard": True}, "use_dashboard is True"),
        ({"use_dashboard": "4", "use_template": "A"}, "cannot be used together"),
        ({"tiles": [{"text": {"body": "x"}}]}, "tiles: PostHog ignores them at creation"),
        ({"extra": {"name": "x"}}, "extra repeats known fields: name"),
    ],
)
async def test_an_invalid_spec_is_refused_before_sending(
    bare: Runs, posthog: Emulator, fields: dict[str, Any], shown: str
) -> None:
    with pytest.raises(SpecError, match=f"tenant 't00': .*{shown}"):
        await bare.provision(TENANTS, {**SPEC, **fields})
    assert sent(posthog) == []


@pytest.mark.parametrize("spec", [lambda source: source, str, lambda source: "{source}"])
async def test_a_source_dashboard_is_a_number_or_its_digits(runs: Runs, posthog: Emulator, spec: Any) -> None:
    source = posthog.posthog.add_dashboard(name="source")
    report = await runs.provision(["t00"], {**SPEC, "use_dashboard": spec(source)}, source=source)
    assert posthog.posthog.found(int(report.ids["t00"]))[0].fields["creation_mode"] == "duplicate"


async def test_an_unknown_template_is_tried_once_and_leaves_nothing_behind(runs: Runs, posthog: Emulator) -> None:
    posthog.posthog.add_dashboard(name="other")
    report = await runs.provision(TENANTS, {**SPEC, "use_template": "NOPE"})
    assert counts(report) == {"failed": 20}
    assert all("use_template: Invalid template provided: NOPE" in one["message"] for one in report.failures)
    assert names(posthog) == ["other"]
    # Tenants that were already under way try it too.
    assert kinds(posthog)["POST dashboards"] <= 4
    assert counts(await runs.provision(TENANTS)) == {"created": 20}


async def test_a_template_that_overwrites_the_description_does_not_remove_the_mark(
    bare: Runs, posthog: Emulator
) -> None:
    posthog.control.behaviour = Behaviour(tagging=False)
    spec = {**SPEC, "use_template": "Product analytics"}
    first = await bare.provision(TENANTS[:3], spec)
    second = await bare.provision(TENANTS[:3], spec)
    assert (counts(second), second.ids) == ({"adopted": 3}, first.ids)
    bare.check(second, TENANTS[:3])


async def test_a_feature_that_the_plan_lacks_fails_tenants_and_creates_no_duplicate(
    runs: Runs, posthog: Emulator
) -> None:
    posthog.control.behaviour = Behaviour(advanced_permissions=False)
    spec = {**SPEC, "sharing": {"password_required": True}}
    for _ in range(2):
        report = await runs.provision(TENANTS[:3], spec)
        assert (counts(report), report.why) == ({"failed": 3}, None)
        assert len(names(posthog)) == 3
    posthog.control.behaviour = Behaviour()
    report = await runs.provision(TENANTS[:3], spec)
    assert counts(report) == {"adopted": 3}
    runs.check(report, TENANTS[:3])


async def test_a_key_without_the_scope_stops_the_run(runs: Runs, posthog: Emulator) -> None:
    posthog.posthog_keys[posthog.posthog_key] = Key(("dashboard:read",))
    report = await runs.provision()
    assert report.why == "stopped, because the API refuses the credentials"
    assert kinds(posthog)["POST dashboards"] <= 4


async def test_a_deleted_dashboard_is_created_again(runs: Runs, posthog: Emulator) -> None:
    first = await runs.provision(TENANTS[:3])
    posthog.posthog.change_dashboard(int(first.ids["t01"]), deleted=True)
    second = await runs.provision(TENANTS[:3], {**SPEC, "pinned": True})
    assert counts(second) == {"updated": 2, "created": 1}
    runs.check(second, TENANTS[:3])


@pytest.mark.parametrize("delete_insights", [True, False])
async def test_removing_deletes_only_the_tenants_dashboards(
    runs: Runs, posthog: Emulator, delete_insights: bool
) -> None:
    first = await runs.provision(TENANTS[:3], {**SPEC, "use_template": "WEBSITE_TRAFFIC"})
    [tile, *_] = posthog.posthog.contents.tiles(int(first.ids["t01"]))
    report = await runs.remove(["t01", "t02", "never provisioned"], delete_insights=delete_insights)
    assert counts(report) == {"deleted": 2}
    assert names(posthog) == ["Sales of t00"]
    assert list(runs.entries()) == ["t00"]
    insight = posthog.posthog.contents.insight(tile.insight_id or 0)
    assert insight is not None
    assert insight.deleted is delete_insights
    again = await runs.provision(TENANTS[:3])
    assert counts(again) == {"unchanged": 1, "created": 2}
    runs.check(again, TENANTS[:3])


async def test_only_a_dashboard_with_the_tenants_mark_is_deleted(runs: Runs, posthog: Emulator) -> None:
    first = await runs.provision(TENANTS[:3])
    # A user has removed the mark.
    posthog.posthog.change_dashboard(int(first.ids["t01"]), description="mine", tags=[mark_of("t00")])
    posthog.posthog.change_dashboard(int(first.ids["t02"]), deleted=True)
    report = await runs.remove(TENANTS[:3])
    assert counts(report) == {"deleted": 2, "failed": 1}
    assert "no longer carries the tenant's mark" in report.failures[0]["message"]
    assert names(posthog) == ["Sales of t01"]
    assert list(runs.entries()) == ["t01"]


async def test_a_dry_run_changes_nothing(runs: Runs, posthog: Emulator) -> None:
    first = await runs.provision(TENANTS[:2])
    found = posthog.posthog.add_dashboard(name="older", tags=[mark_of("t02")])
    posthog.control.behaviour = Behaviour(read_only=True)
    sent(posthog)
    before, entries = runs.dashboards(), runs.entries()
    assert await runs.preview(TENANTS[:4], {**SPEC, "pinned": True}) == [
        ("t00", first.ids["t00"], "update"),
        ("t01", first.ids["t01"], "update"),
        ("t02", str(found), "adopt"),
        ("t03", None, "create"),
    ]
    assert kinds(posthog) == {"GET dashboards": 1}
    assert (runs.dashboards(), runs.entries()) == (before, entries)


class Vendor:
    """A transport that gives each call its answer, or raises it if it is an error."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    async def run(self, call: Any) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


WITH_SHARING: dict[str, Any] = {"name": "Sales", "sharing": {"enabled": True}}


async def test_the_oldest_dashboard_with_the_mark_is_found_and_the_others_are_duplicates() -> None:
    target = PostHogTarget(scope="1")
    desired = target.desire("acme", WITH_SHARING)
    transport: Any = Vendor([Dashboard(id=number, tags=[desired.wanted.mark]) for number in (7, 3, 11)])
    await target.survey(transport)
    found = await target.find(transport, desired, ours=False)
    assert found is not None
    assert found.dashboard_id == "3"
    assert [other.dashboard_id for other in target.duplicates(desired)] == ["7", "11"]


async def test_a_refusal_that_is_not_about_the_template_is_not_held_against_the_next_tenant() -> None:
    target = PostHogTarget(scope="1")
    as_asked = Dashboard(id=4, name="Sales", description=f"[{mark_of('globex')}]")
    transport: Any = Vendor(InvalidRequestError("name: too long"), as_asked, as_asked, None)
    fields = {"name": "Sales", "use_template": "a template"}
    with pytest.raises(InvalidRequestError, match="too long"):
        await target.create(transport, target.desire("acme", fields))
    assert (await target.create(transport, target.desire("globex", fields))).dashboard_id == "4"


@pytest.mark.parametrize("from_api", [True, False])
async def test_only_the_apis_own_404_says_that_another_run_deleted_the_new_dashboard(from_api: bool) -> None:
    target, gone = PostHogTarget(scope="1"), NotFoundError("Not found.", status=404)
    gone.from_api = from_api
    transport: Any = Vendor(Dashboard(id=4), gone)
    with pytest.raises(AlreadyExistsError if from_api else NotFoundError):
        await target.create(transport, target.desire("acme", WITH_SHARING))


VARIABLES = {"v": {"code_name": "tenant", "value": "{tenant_id}"}}
TEMPLATED: dict[str, Any] = {
    **SPEC,
    "description": "Of {tenant_id}",
    "tags": ["tenant", "{tenant_id}"],
    "variables": VARIABLES,
    "use_template": "Product analytics",
}


async def test_a_dashboard_from_a_template_takes_three_calls_and_is_as_the_spec_says(
    runs: Runs, posthog: Emulator
) -> None:
    report = await runs.provision(TENANTS, TEMPLATED)
    runs.check(report)
    assert kinds(posthog) == {
        "GET dashboards": 2,
        "POST dashboards": 20,
        "PATCH dashboards/N": 20,
        "PATCH dashboards/N/sharing": 20,
    }
    for tenant, number in report.ids.items():
        found = posthog.posthog.found(int(number))[0].fields
        assert found["description"] == f"Of {tenant}\n[{mark_of(tenant)}]"
        assert set(found["tags"]) == {"tenant", tenant}
        assert found["variables"] == {"v": {"code_name": "tenant", "value": tenant}}


@pytest.mark.parametrize("template", ["DEFAULT_APP", "Product analytics"])
async def test_without_a_name_a_dashboard_has_the_templates_name(runs: Runs, posthog: Emulator, template: str) -> None:
    report = await runs.provision(["t00"], {"use_template": template})
    assert counts(report) == {"created": 1}
    assert names(posthog) == ["Product analytics"]


async def test_a_copy_is_shared_only_with_the_tenants_own_variables(runs: Runs, posthog: Emulator) -> None:
    source = posthog.posthog.add_dashboard(variables={"v": {"code_name": "tenant", "value": "globex"}})
    spec = {**SPEC, "use_dashboard": source, "variables": {}}
    report = await runs.provision(["t00"], spec)
    assert "did not keep variables; an empty object does not clear variables" in report.failures[0]["message"]
    [made] = [row for row in runs.dashboards().values() if row.id != source]
    assert not made.shared
    # The next run finds it, and a spec that can be kept completes it.
    report = await runs.provision(["t00"], {**spec, "variables": VARIABLES})
    assert (counts(report), report.ids) == ({"adopted": 1}, {"t00": str(made.id)})
    row = runs.dashboards()[report.ids["t00"]]
    assert (row.shared, row.fields["variables"]["v"]["value"]) == (True, "t00")


@pytest.mark.parametrize("last", ["updated", "failed"])
async def test_a_dashboard_whose_mark_was_removed_stays_the_tenants_and_gets_its_mark_again(
    runs: Runs, posthog: Emulator, last: str
) -> None:
    first = await runs.provision(TENANTS[:2])
    number = int(first.ids["t00"])
    if last == "failed":
        runs.server = posthog_server(posthog, max_retry_seconds=0)
        posthog.control.set_faults([Fault(kind="error_before", method="PATCH")])
        assert counts(await runs.provision(["t00"], {**SPEC, "pinned": True})) == {"failed": 1}
        posthog.control.set_faults([])
    posthog.posthog.change_dashboard(number, description="Ours", tags=[])
    report = await runs.provision(["t00"], {**SPEC, "filters": {"date_from": "-7d"}})
    assert (counts(report), report.ids) == ({"updated": 1}, {"t00": str(number)})
    assert posthog.posthog.found(number)[0].fields["description"] == f"Ours\n[{mark_of('t00')}]"
    assert posthog.posthog.count_dashboards() == 2


@pytest.mark.parametrize("last", ["updated", "failed"])
async def test_a_dashboard_with_another_tenants_mark_is_neither_taken_nor_doubled(
    runs: Runs, posthog: Emulator, last: str
) -> None:
    first = await runs.provision(TENANTS[:2])
    if last == "failed":
        runs.server = posthog_server(posthog, max_retry_seconds=0)
        posthog.control.set_faults([Fault(kind="error_before", method="PATCH")])
        await runs.provision(["t00"], {**SPEC, "pinned": True})
        posthog.control.set_faults([])
    posthog.posthog.change_dashboard(int(first.ids["t00"]), description=f"[{mark_of('t01')}]")
    report = await runs.provision(["t00"], {**SPEC, "pinned": True})
    assert counts(report) == {"failed": 1}
    assert "carries the mark of another tenant or purpose" in report.failures[0]["message"]
    assert posthog.posthog.count_dashboards() == 2


@pytest.mark.parametrize("kind", ["error_after", "reset_after", "cut"])
@pytest.mark.parametrize("spec", [{"sharing": {"enabled": False}}, {}])
async def test_a_dashboard_that_a_lost_answer_left_is_compared_without_a_ledger_too(
    bare: Runs, posthog: Emulator, kind: Any, spec: dict[str, Any]
) -> None:
    source = posthog.posthog.add_dashboard(variables={"v": {"code_name": "tenant", "value": "globex"}})
    posthog.control.set_faults([Fault(kind=kind, method="POST", times=2)])
    report = await bare.provision(TENANTS[:3], {**SPEC, **spec, "use_dashboard": source, "variables": VARIABLES})
    assert counts(report) == {"created": 3}
    for tenant, number in report.ids.items():
        assert posthog.posthog.found(int(number))[0].fields["variables"]["v"]["value"] == tenant
    assert posthog.posthog.count_dashboards() == 4


async def test_a_killed_run_without_a_ledger_leaves_dashboards_that_are_finished(bare: Runs, posthog: Emulator) -> None:
    spec = {**SPEC, "variables": VARIABLES, "tags": ["a"], "sharing": {"enabled": False}}
    posthog.posthog.add_dashboard(name=f"Sales of t00 [{mark_of('t00')}]", description=f"[{mark_of('t00')}]")
    assert counts(await bare.provision(["t00"], spec)) == {"adopted": 1}
    [row] = bare.dashboards().values()
    assert (row.fields["name"], row.fields["tags"]) == ("Sales of t00", ["a"])
    assert row.fields["variables"]["v"]["value"] == "t00"


async def test_a_list_without_the_new_dashboard_leads_to_no_second_create() -> None:
    target = PostHogTarget(scope="1")
    desired = target.desire("acme", {**WITH_SHARING, "pinned": True})
    transport: Any = Vendor(Dashboard(id=4, pinned=False), ServerError("x", status=500), [Dashboard(id=3)])
    with pytest.raises(ServerError):
        await target.create(transport, desired)
    await target.survey(transport)
    with pytest.raises(MalformedAnswerError, match="the dashboard was created, and the list does not show it"):
        await target.find(transport, desired, ours=True)


async def test_near_posthogs_limit_each_batch_logs_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    target, many = PostHogTarget(scope="1"), [Dashboard(id=number) for number in range(1, 4_501)]
    transport: Any = Vendor(many[1:], many, many)
    for expected in (0, 1, 1):
        await target.survey(transport)
        assert caplog.text.count("The project has 4500 dashboards. PostHog may refuse more than 5,000") == expected


async def test_a_dashboard_whose_tiles_come_late_is_updated_again(
    runs: Runs, posthog: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = posthog.posthog.add_dashboard(name=f"Sales of t00 [{mark_of('t00')}]")

    def waits() -> Iterator[float]:
        yield 0.0
        fill(posthog.posthog.contents, left, TEMPLATES["DEFAULT_APP"].tiles)
        posthog.posthog.change_dashboard(left, name=f"Sales of t00 [{mark_of('t00')}]", description="")
        yield 0.0

    monkeypatch.setattr("airflow_provider_databrain.posthog.target.SETTLE_SECONDS", waits())
    report = await runs.provision(["t00"], {**SPEC, "use_template": "DEFAULT_APP", "description": "Ours"})
    assert counts(report) == {"adopted": 1}
    runs.check(report, ["t00"])
    assert posthog.posthog.found(left)[0].fields["description"] == f"Ours\n[{mark_of('t00')}]"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for tiles."""
    monkeypatch.setattr("airflow_provider_databrain.posthog.target.SETTLE_SECONDS", (0.0, 0.0))


@pytest.mark.usefixtures("quick")
async def test_a_dashboard_that_a_failed_create_left_without_tiles_is_deleted_and_created_again(
    runs: Runs, posthog: Emulator
) -> None:
    spec = {**SPEC, "use_template": "DEFAULT_APP"}
    left = posthog.posthog.add_dashboard(name=f"Sales of t00 [{mark_of('t00')}]")
    report = await runs.provision(["t00"], spec)
    assert counts(report) == {"failed": 1}
    assert "without the tiles of its template; it was deleted" in report.failures[0]["message"]
    report = await runs.provision(["t00"], spec)
    assert counts(report) == {"created": 1}
    assert report.ids["t00"] != str(left)
    runs.check(report, ["t00"])
    assert len(contents(posthog, int(report.ids["t00"]))) == 6


class Late(PostHogTarget):
    """PostHog is still at work on creates whose answers are lost, and ends them after they were found."""

    emulator: Emulator

    async def update(self, transport: AsyncTransport, desired: Desired[Wanted], existing: Existing) -> Existing:
        done = await super().update(transport, desired, existing)
        self.emulator.posthog.change_dashboard(
            int(done.dashboard_id),
            name=f"Sales of {desired.tenant} [{desired.wanted.mark}]",
            description="",
            filters={},
        )
        type(self).update = PostHogTarget.update  # type: ignore[method-assign] # only the first update is disturbed
        return done


async def test_a_create_that_ends_after_its_dashboard_was_updated_is_updated_again(
    runs: Runs, posthog: Emulator
) -> None:
    class Server(Late):
        emulator = posthog

    runs.target = Server
    posthog.control.set_faults([Fault(kind="reset_after", method="POST", times=1)])
    spec = {**SPEC, "use_template": "DEFAULT_APP", "filters": {"date_from": "-7d"}}
    report = await runs.provision(["t00"], spec)
    runs.check(report, ["t00"])
    [row] = runs.dashboards().values()
    assert row.fields["description"] == f"[{mark_of('t00')}]"
    assert row.fields["filters"] == {"date_from": "-7d"}


async def test_a_project_that_posthog_does_not_know_says_nothing_about_a_dashboard(
    runs: Runs, posthog: Emulator
) -> None:
    first = await runs.provision(["t00"])
    runs.server = replace(runs.server, parameters={"project_id": "77"})
    report = await runs.provision(["t00"], {**SPEC, "pinned": True})
    assert counts(report) == {"failed": 1}
    assert "Project not found" in report.failures[0]["message"]
    assert runs.entries()["t00"].dashboard_id == first.ids["t00"]
    runs.server = posthog_server(posthog)
    report = await runs.provision(["t00"], {**SPEC, "pinned": True})
    assert (counts(report), report.ids) == ({"updated": 1}, first.ids)
    assert posthog.posthog.count_dashboards() == 1


async def test_an_answer_with_another_tenants_dashboard_is_not_used() -> None:
    target = PostHogTarget(scope="1")
    desired = target.desire("acme", WITH_SHARING)
    others = Dashboard(id=3, name="Sales", description=f"[{mark_of('globex')}]")
    call = create_unfinished(desired.wanted.new, desired.wanted.mark)
    next(call)
    with pytest.raises(
        MalformedAnswerError, match="shows dashboard 3, which does not carry the mark that was sent"
    ) as e:
        call.send(others)
    # The own dashboard may exist: the engine looks for it.
    assert e.value.ambiguous


async def test_a_dashboard_that_is_kept_instead_of_a_deleted_one_is_recorded_if_its_update_fails(
    runs: Runs, posthog: Emulator
) -> None:
    older = posthog.posthog.add_dashboard(name="older", description="")
    report = await runs.provision(["t00"])
    younger = report.ids["t00"]
    runs.server = posthog_server(posthog, max_retry_seconds=0)
    posthog.control.set_faults([Fault(kind="error_before", method="PATCH")])
    assert counts(await runs.provision(["t00"], {**SPEC, "pinned": True})) == {"failed": 1}
    # Another run had created an older one at the same time. The younger one is deleted, and the update fails.
    posthog.posthog.change_dashboard(older, description=f"[{mark_of('t00')}]")
    posthog.control.set_faults([Fault(kind="error_before", method="PATCH", path=rf"dashboards/{older}/")])
    report = await runs.provision(["t00"], {**SPEC, "pinned": True})
    assert (counts(report), list(runs.dashboards())) == ({"failed": 1}, [str(older)])
    assert report.ids == {"t00": str(older)} != {"t00": younger}
    assert runs.entries()["t00"].dashboard_id == str(older)


@pytest.mark.parametrize("known", ["the older", "the younger", "none of both"])
async def test_a_removal_deletes_every_dashboard_with_the_tenants_mark(
    runs: Runs, posthog: Emulator, known: str
) -> None:
    older = posthog.posthog.add_dashboard(name="older")
    first = await runs.provision(TENANTS[:2])
    late = older if known == "the younger" else posthog.posthog.add_dashboard(name="late")
    # A create that ended after the last survey.
    posthog.posthog.change_dashboard(late, description=f"[{mark_of('t00')}]")
    if known == "none of both":
        posthog.posthog.change_dashboard(int(first.ids["t00"]), deleted=True)
    report = await runs.remove(["t00"])
    assert counts(report) == {"deleted": 1}
    assert posthog.posthog.found(late)[0].deleted
    assert posthog.posthog.found(int(first.ids["t00"]))[0].deleted
    assert not posthog.posthog.found(int(first.ids["t01"]))[0].deleted


async def test_a_new_dashboard_that_is_gone_may_be_created_again() -> None:
    target, gone = PostHogTarget(scope="1"), NotFoundError("Not found.", status=404)
    desired = target.desire("acme", WITH_SHARING)
    as_asked = Dashboard(id=4, name="Sales", description=f"[{mark_of('acme')}]")
    transport: Any = Vendor(as_asked, gone, [])
    with pytest.raises(AlreadyExistsError):
        await target.create(transport, desired)
    await target.survey(transport)
    # PostHog itself says that it does not exist, so it need not be listed.
    assert await target.find(transport, desired, ours=True) is None
