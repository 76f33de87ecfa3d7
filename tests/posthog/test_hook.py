"""The methods of PostHog's hook, sync and async, against the emulator: each answer and each known refusal."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from airflow_provider_databrain.client.errors import (
    AlreadyExistsError,
    ApiError,
    AuthenticationError,
    InvalidRequestError,
    NotAllowedError,
    NotFoundError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_databrain.emulator.faults import Behaviour, Fault
from airflow_provider_databrain.emulator.posthog.checks import Key
from airflow_provider_databrain.emulator.posthog.state import MEMBER, OWNER
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.posthog.api.models import NewDashboard
from airflow_provider_databrain.posthog.hook import PostHogHook
from tests.posthog.support import LEGACY, TEMPLATE, add_legacy_key, names, sent, set_posthog_connection
from tests.posthog.test_hook_tiles import NAMES as NEWER
from tests.support import http_answer, raw_server

Arguments = Callable[["Scene"], tuple[Any, ...]]
Check = Callable[["Scene", Any], object]


@dataclass
class Scene:
    """A restricted, shared dashboard with a text, an insight and a password; another dashboard; a deleted one."""

    emulator: Emulator
    one: int
    other: int
    deleted: int
    text: int
    insight: int
    insight_tile: int
    password: int
    token: str
    member: str
    owner: str


@pytest.fixture
def scene(posthog: Emulator) -> Scene:
    """See ``Scene``."""
    state = posthog.posthog
    one, other, deleted = (state.add_dashboard(name=name) for name in ("one", "other", "deleted"))
    state.change_dashboard(one, restriction_level=37)
    state.change_dashboard(deleted, deleted=True)
    share = state.shares.save(one, enabled=True, password_required=True)
    insight = state.contents.add_insight(1, OWNER, name="Signups")
    return Scene(
        emulator=posthog,
        one=one,
        other=other,
        deleted=deleted,
        text=state.contents.add_tile(one, text=state.contents.add_text(OWNER, "# x")),
        insight=insight,
        insight_tile=state.contents.add_tile(one, insight=insight),
        password=state.shares.add_password(share.id, "", "owner@example.com").id,
        token=share.access_token,
        member=state.member(MEMBER).uuid,
        owner=state.member(OWNER).uuid,
    )


async def ask(method: str, *arguments: Any, asynchronous: bool, hook: PostHogHook | None = None, **options: Any) -> Any:
    """The result of a method in its sync or async form; a stream is read to its end."""
    hook = hook or PostHogHook(max_retry_seconds=0)
    if not asynchronous:
        answer = getattr(hook, method)(*arguments, **options)
        return list(answer) if inspect.isgenerator(answer) else answer
    async with hook:
        answer = getattr(hook, f"a{method}")(*arguments, **options)
        return [event async for event in answer] if inspect.isasyncgen(answer) else await answer


BOTH = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


def deleted(scene: Scene, number: int) -> bool:
    return scene.emulator.posthog.found(number)[0].deleted


METHODS: list[tuple[str, Arguments, Check]] = [
    ("list_dashboards", lambda s: (), lambda s, a: [one.name for one in a] == ["one", "other"]),
    ("create_dashboard", lambda s: ({"name": "new"},), lambda s, a: a.name == "new" and a.tiles == []),
    (
        "find_or_create_dashboard",
        lambda s: (NewDashboard(name="new"), "key"),
        lambda s, a: (a[0].name, a[1]) == ("new", True),
    ),
    ("retrieve_dashboard", lambda s: (s.one,), lambda s, a: {t.id for t in a.tiles} == {s.text, s.insight_tile}),
    ("update_dashboard", lambda s: (s.one, {"pinned": True}), lambda s, a: a.pinned and a.name == "one"),
    ("delete_dashboard", lambda s: (s.one,), lambda s, a: a.deleted and deleted(s, s.one)),
    ("restore_dashboard", lambda s: (s.deleted,), lambda s, a: not a.deleted and not deleted(s, s.deleted)),
    ("list_collaborators", lambda s: (s.one,), lambda s, a: a == []),
    ("add_collaborator", lambda s: (s.one, s.member), lambda s, a: (a.user.uuid, a.level) == (s.member, 37)),
    ("get_sharing", lambda s: (s.one,), lambda s, a: (a.enabled, a.token) == (True, s.token)),
    ("update_sharing", lambda s: (s.other,), lambda s, a: a.enabled is False and a.created_at),
    ("refresh_sharing", lambda s: (s.one,), lambda s, a: a.enabled and a.token not in (None, s.token)),
    ("create_share_password", lambda s: (s.one,), lambda s, a: len(a.password) >= 8),
    ("delete_share_password", lambda s: (s.one, s.password), lambda s, a: a is None),
    ("public_url", lambda s: (s.one,), lambda s, a: a == f"{s.emulator.url}/shared/{s.token}"),
    ("transfer_tile", lambda s: (s.one, s.text, s.other), lambda s, a: [t.id for t in a.tiles] == [s.insight_tile]),
    ("build_dashboard", lambda s: (TEMPLATE,), lambda s, a: (a.name, len(a.tiles)) == ("KPIs", 3)),
    ("create_insight", lambda s: ({"name": "x", "dashboards": [s.other]},), lambda s, a: a.dashboards == [s.other]),
    ("update_insight", lambda s: (s.insight, {"name": "y"}), lambda s, a: (a.id, a.name) == (s.insight, "y")),
    # Only for a key without scopes.
    ("move_tile", lambda s: (s.one, s.text, s.other), lambda s, a: [t.id for t in a.tiles] == [s.insight_tile]),
    ("create_from_template_json", lambda s: (TEMPLATE,), lambda s, a: (a.name, len(a.tiles)) == ("KPIs", 3)),
    ("stream_tiles", lambda s: (s.one,), lambda s, a: [event.dashboard.id for event in a] == [s.one]),
]
WITHOUT_SCOPE = ("move_tile", "create_from_template_json", "stream_tiles")


@BOTH
@pytest.mark.parametrize(("method", "arguments", "check"), METHODS, ids=[name for name, *_ in METHODS])
async def test_each_method_answers(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    arguments: Arguments,
    check: Check,
    asynchronous: bool,
) -> None:
    if method in WITHOUT_SCOPE:
        set_posthog_connection(monkeypatch, scene.emulator, password=add_legacy_key(scene.emulator))
    assert check(scene, await ask(method, *arguments(scene), asynchronous=asynchronous))


@BOTH
async def test_a_collaborator_is_removed(scene: Scene, asynchronous: bool) -> None:
    scene.emulator.posthog.add_collaborator(scene.one, MEMBER)
    assert [one.user.uuid for one in await ask("list_collaborators", scene.one, asynchronous=asynchronous)] == [
        scene.member
    ]
    assert await ask("remove_collaborator", scene.one, scene.member, asynchronous=asynchronous) is None
    assert scene.emulator.posthog.collaborators(scene.one) == []


def test_every_method_has_both_forms_and_a_test() -> None:
    own = {name for name, value in vars(PostHogHook).items() if inspect.isfunction(value) and not name.startswith("_")}
    settings = {"tokens", "url_without_host", "options", "check_url", "test_connection"}
    methods = {name for name in own - settings if not (name.startswith("a") and name[1:] in own)}
    assert {f"a{name}" for name in methods} == own - settings - methods
    assert methods == {name for name, *_ in METHODS} | {"remove_collaborator", *NEWER}


def on(method: str, *arguments: Any) -> tuple[str, Arguments]:
    """A call. An argument that is a string is the name of a scene's field."""
    return method, lambda scene: tuple(getattr(scene, one) if isinstance(one, str) else one for one in arguments)


ERRORS: list[tuple[tuple[str, Arguments], type[ApiError], str]] = [
    (on("retrieve_dashboard", 99999), NotFoundError, "Not found."),
    (on("retrieve_dashboard", "deleted"), NotFoundError, "Not found."),
    (on("update_dashboard", "deleted", {"name": "x"}), NotFoundError, "Not found."),
    (on("delete_dashboard", "deleted"), NotFoundError, "Not found."),
    (on("list_collaborators", 99999), NotFoundError, "Dashboard not found."),
    (on("add_collaborator", "other", "member"), InvalidRequestError, "on the lowest restriction level"),
    (on("add_collaborator", "one", "owner"), InvalidRequestError, "already have inherent access"),
    (on("remove_collaborator", "one", "member"), NotFoundError, "Not found."),
    (on("get_sharing", 99999), NotFoundError, "Dashboard not found."),
    (on("create_share_password", "other"), InvalidRequestError, "must be enabled before creating passwords"),
    (on("delete_share_password", "one", 99999), NotFoundError, "Password not found"),
    (on("create_insight", {"dashboards": [99999]}), InvalidRequestError, "dashboards: Invalid pk"),
    (on("create_insight", {"dashboards": "x"}), InvalidRequestError, "dashboards: Expected a list"),
    (on("update_insight", 99999, {"name": "x"}), NotFoundError, "Not found."),
    (on("create_dashboard", {"use_template": "NOPE"}), InvalidRequestError, "use_template: Invalid template"),
    (on("create_dashboard", {"use_dashboard": 99999}), InvalidRequestError, "use_dashboard: Invalid value"),
    (
        on("update_dashboard", "one", {"extra": {"deleted": None}}),
        InvalidRequestError,
        "deleted: This field may not be",
    ),
    (on("move_tile", "one", "text", "other"), AuthenticationError, r"use transfer_tile instead"),
    (on("create_from_template_json", TEMPLATE), AuthenticationError, "use build_dashboard instead"),
    (on("stream_tiles", "one"), AuthenticationError, "use retrieve_dashboard instead"),
]


@BOTH
@pytest.mark.parametrize(("call", "error", "shown"), ERRORS, ids=[f"{call[0]} {shown}" for call, _, shown in ERRORS])
async def test_each_refusal_is_raised_with_its_message(
    scene: Scene, call: tuple[str, Arguments], error: type[ApiError], shown: str, asynchronous: bool
) -> None:
    method, arguments = call
    with pytest.raises(ApiError, match=shown) as caught:
        await ask(method, *arguments(scene), asynchronous=asynchronous)
    assert type(caught.value) is error
    assert caught.value.status != 405
    # None of these failures is transient.
    assert len(sent(scene.emulator)) == 1


@BOTH
async def test_a_member_who_is_already_a_collaborator_has_its_own_error(scene: Scene, asynchronous: bool) -> None:
    scene.emulator.posthog.add_collaborator(scene.one, MEMBER)
    with pytest.raises(AlreadyExistsError, match="already is a collaborator") as caught:
        await ask("add_collaborator", scene.one, scene.member, asynchronous=asynchronous)
    assert not caught.value.after_ambiguous


KEYS: list[tuple[Key | None, str, type[ApiError], str]] = [
    (None, "retrieve_dashboard", AuthenticationError, "HTTP 401.*Authorization header is invalid"),
    (Key(()), "retrieve_dashboard", AuthenticationError, "missing required scope 'dashboard:read'"),
    (Key(("dashboard:read",)), "delete_dashboard", AuthenticationError, "missing required scope 'dashboard:write'"),
    (Key(("dashboard:write",)), "get_sharing", AuthenticationError, "scope 'sharing_configuration:read'"),
    (Key(("sharing_configuration:read",)), "refresh_sharing", AuthenticationError, "'sharing_configuration:write'"),
    (Key(("*",)), "stream_tiles", AuthenticationError, "does not support Personal API Key access.*retrieve_dashboard"),
    (Key(("*",), project=2), "retrieve_dashboard", AuthenticationError, "requested project: ID 1"),
    (Key(("*",), member=MEMBER), "delete_dashboard", NotAllowedError, "don't have edit permissions"),
]


@BOTH
@pytest.mark.parametrize(("key", "method", "error", "shown"), KEYS, ids=[shown for *_, shown in KEYS])
async def test_each_limit_of_a_key_is_named_in_the_error(
    scene: Scene, key: Key | None, method: str, error: type[ApiError], shown: str, asynchronous: bool
) -> None:
    scene.emulator.posthog_keys.clear()
    if key is not None:
        scene.emulator.posthog_keys[scene.emulator.posthog_key] = key
    with pytest.raises(ApiError, match=shown) as caught:
        await ask(method, scene.one, asynchronous=asynchronous)
    assert type(caught.value) is error
    assert scene.emulator.posthog_key not in str(caught.value)


@BOTH
@pytest.mark.parametrize("method", ["update_sharing", "create_share_password"])
async def test_a_feature_that_the_plan_lacks_is_not_an_error_of_the_key(
    scene: Scene, method: str, asynchronous: bool
) -> None:
    scene.emulator.control.behaviour = Behaviour(advanced_permissions=False)
    options: dict[str, Any] = {"password_required": True} if method == "update_sharing" else {}
    with pytest.raises(NotAllowedError, match=r"requires the Advanced Permissions feature$"):
        await ask(method, scene.one, asynchronous=asynchronous, **options)


@BOTH
async def test_another_project_has_other_dashboards(scene: Scene, asynchronous: bool) -> None:
    scene.emulator.posthog.add_project(2, "second")
    with pytest.raises(NotFoundError, match=r"Not found\."):
        await ask("retrieve_dashboard", scene.one, asynchronous=asynchronous, hook=PostHogHook(project_id=2))
    with pytest.raises(NotFoundError, match=r"Project not found\."):
        await ask("retrieve_dashboard", scene.one, asynchronous=asynchronous, hook=PostHogHook(project_id=99))


@BOTH
async def test_a_rate_limit_error_has_the_seconds_to_wait(scene: Scene, asynchronous: bool) -> None:
    scene.emulator.control.set_faults([Fault(kind="too_many", seconds=20)])
    with pytest.raises(RateLimitedError, match=r"retry after 20 s\]: Request was throttled") as caught:
        await ask("list_dashboards", asynchronous=asynchronous)
    assert caught.value.retry_after == 20


@BOTH
@pytest.mark.parametrize("method", ["list_dashboards", "create_dashboard"])
async def test_a_server_error_is_retried_only_if_nothing_is_created_twice(
    scene: Scene, fast_retries: None, method: str, asynchronous: bool
) -> None:
    scene.emulator.control.set_faults([Fault(kind="error_after", times=1)])
    hook = PostHogHook()
    if method == "list_dashboards":
        assert len(await ask(method, asynchronous=asynchronous, hook=hook)) == 2
    else:
        with pytest.raises(ServerError, match=r"A server error occurred\."):
            await ask(method, {"name": "new"}, asynchronous=asynchronous, hook=hook)
        assert names(scene.emulator).count("new") == 1


@BOTH
async def test_a_retried_delete_says_that_an_earlier_try_may_have_deleted_it(
    scene: Scene, fast_retries: None, asynchronous: bool
) -> None:
    scene.emulator.control.set_faults([Fault(kind="reset_after", times=1)])
    with pytest.raises(NotFoundError) as caught:
        await ask("delete_dashboard", scene.one, asynchronous=asynchronous, hook=PostHogHook())
    assert caught.value.after_ambiguous
    assert deleted(scene, scene.one)


@BOTH
async def test_a_list_continues_if_the_server_returns_fewer_per_page(posthog: Emulator, asynchronous: bool) -> None:
    for number in range(5_001):
        posthog.posthog.add_dashboard(name=f"d{number:04}")
    found = await ask("list_dashboards", asynchronous=asynchronous)
    assert [one.name for one in found] == [f"d{number:04}" for number in range(5_001)]
    assert len(sent(posthog)) == 2


@BOTH
async def test_the_next_page_is_requested_from_the_connections_host_only(
    monkeypatch: pytest.MonkeyPatch, asynchronous: bool
) -> None:
    with raw_server(b"") as (elsewhere, there):
        first = f'{{"next": "{elsewhere}/steal?limit=1&offset=1", "results": [{{"id": 1}}]}}'.encode()
        answers = http_answer(200, first), http_answer(200, b'{"next": null, "results": [{"id": 2}]}')
        with raw_server(*answers) as (url, met):
            monkeypatch.setenv("AIRFLOW_CONN_POSTHOG_DEFAULT", f'{{"host": "{url}", "password": "{LEGACY}"}}')
            found = await ask("list_dashboards", asynchronous=asynchronous)
    assert [one.id for one in found] == [1, 2]
    assert [request.split(b" ")[1] for request in met] == [
        b"/api/projects/@current/dashboards/?limit=5000&offset=0",
        b"/api/projects/@current/dashboards/?limit=5000&offset=1",
    ]
    assert there == []
