"""The emulated PostHog's tags: how they are stored, and how requests at the same time delete each other's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_databrain.emulator.faults import Behaviour, Control
from airflow_provider_databrain.emulator.posthog.checks import PostHogRefusalError
from airflow_provider_databrain.emulator.posthog.state import PostHogState
from airflow_provider_databrain.emulator.posthog.tags import Tags
from airflow_provider_databrain.emulator.server import Emulator
from tests.emulator.posthog.client import DASHBOARDS, SERVER_ERROR, ask, at, got, make, refusal

LONG = "x" * 256


class Race:
    """Writes of tags at the same time, without HTTP. The same seed has the same result."""

    def __init__(self, seed: int = 0) -> None:
        self.state = PostHogState()
        self.control = Control(Behaviour(seed=seed))
        self.tags = Tags(self.state, self.control)

    async def write(self, *writes: tuple[int, list[Any]]) -> list[int]:
        """Write tags, each to a dashboard, all at the same time. Return the statuses."""

        async def one(dashboard: int, tags: list[Any]) -> int:
            try:
                await self.tags.write(dashboard, tags)
            except PostHogRefusalError as error:
                return error.status
            return 200

        return await asyncio.gather(*(one(*write) for write in writes))

    async def create(self, *tags: list[Any]) -> list[int]:
        """Write tags to new dashboards, all at the same time. Return the statuses."""
        return await self.write(*((self.state.add_dashboard(name="x"), each) for each in tags))

    def of(self, dashboard: int) -> list[str]:
        [row] = self.state.found(dashboard)
        return list(row.fields["tags"])


@pytest.mark.parametrize(("at_a_time", "least", "most"), [(1, 0, 0), (2, 4, 12), (4, 10, 20)])
async def test_new_tags_at_the_same_time_fail_at_the_measured_rate(at_a_time: int, least: int, most: int) -> None:
    # Measured: 0 of 40 one at a time, 8 of 40 at two, 15 of 40 at four.
    failed = 0
    for seed in range(5):
        race = Race(seed)
        for number in range(40 // at_a_time):
            statuses = await race.create(*([f"{number} {place}"] for place in range(at_a_time)))
            failed += statuses.count(500)
        assert race.state.count_dashboards() == 40
    assert 5 * least <= failed <= 5 * most


async def test_the_same_seed_has_the_same_result() -> None:
    results = []
    for seed in (3, 3, 4):
        race = Race(seed)
        results.append([await race.create([f"{number} a"], [f"{number} b"]) for number in range(40)])
    assert results[0] == results[1] != results[2]


async def test_a_tag_that_another_dashboard_has_is_safe() -> None:
    race = Race()
    assert await race.create(["known"]) == [200]
    assert set(await race.create(*(["known"] for _ in range(40)))) == {200}


async def test_a_tag_that_only_a_deleted_dashboard_has_is_safe() -> None:
    race = Race()
    key = race.state.add_dashboard(tags=["known"])
    race.state.change_dashboard(key, deleted=True)
    assert set(await race.create(*(["known"] for _ in range(40)))) == {200}
    assert race.of(key) == ["known"]


async def test_a_tag_that_nothing_has_any_more_is_new_again() -> None:
    race = Race()
    key = race.state.add_dashboard(tags=["known"])
    await race.write((key, ["other"]))
    assert not race.state.is_tag(1, "known")
    assert 500 in await race.create(*(["known"] for _ in range(2)), *([str(number)] for number in range(20)))


async def test_a_tag_of_another_project_is_new_and_safe_from_this_one() -> None:
    race = Race()
    race.state.add_project(2, "Other")
    race.state.add_dashboard(project=2, tags=["known"])
    assert not race.state.is_tag(1, "known")
    pairs = [(race.state.add_dashboard(project=project), [f"new {project}"]) for project in (1, 2)]
    assert await race.write(*pairs) == [200, 200]


async def test_a_failed_write_keeps_the_old_tags() -> None:
    race = Race()
    keys = [race.state.add_dashboard(tags=["old"]) for _ in range(40)]
    seen = set()
    for pair in zip(keys[::2], keys[1::2], strict=True):
        statuses = await race.write(*((key, [f"new {key}"]) for key in pair))
        expected = {200: "new {}", 500: "old"}
        assert [race.of(key) for key in pair] == [
            [expected[status].format(key)] for key, status in zip(pair, statuses, strict=True)
        ]
        seen |= set(statuses)
    assert seen == {200, 500}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (["B", "b ", " B", "C"], ["b", "c"]),
        (["", "x"], ["", "x"]),
        (["É", "  Two words "], ["é", "two words"]),
        ([], []),
    ],
)
def test_tags_are_lower_case_trimmed_and_different(emulator: Emulator, sent: list[str], stored: list[str]) -> None:
    assert make(emulator, tags=sent)["tags"] == stored
    made = make(emulator, tags=["old"])
    assert got(ask(emulator, "PATCH", at(made), json={"tags": sent}))["tags"] == stored


@pytest.mark.parametrize("tag", [1, None, True, ["x"], {"x": 1}, LONG, "a\0b", "a\ud800b"])
def test_a_tag_that_cannot_be_stored_is_a_server_error_after_everything_else_was_saved(
    emulator: Emulator, tag: Any
) -> None:
    assert refusal(ask(emulator, "POST", DASHBOARDS, json={"name": "made", "tags": [tag]})) == SERVER_ERROR
    [row] = emulator.posthog.dashboards()
    assert (row.fields["name"], row.fields["tags"]) == ("made", [])
    changed = ask(emulator, "PATCH", f"{DASHBOARDS}{row.id}/", json={"name": "changed", "tags": [tag]})
    assert refusal(changed) == SERVER_ERROR
    [row] = emulator.posthog.dashboards()
    assert (row.fields["name"], row.fields["tags"]) == ("changed", [])


def test_tags_are_written_after_fields_and_before_tiles(emulator: Emulator) -> None:
    made = make(emulator, tags=["old"])
    body = {"description": "new", "tags": [LONG], "tiles": [{"text": {"body": "hello"}}]}
    assert refusal(ask(emulator, "PATCH", at(made), json=body)) == SERVER_ERROR
    shown = got(ask(emulator, "GET", at(made)))
    assert (shown["description"], shown["tags"], shown["tiles"]) == ("new", ["old"], [])


def test_without_the_feature_no_tag_is_an_error(emulator: Emulator) -> None:
    emulator.control.behaviour = Behaviour(tagging=False)
    assert make(emulator, tags=[1, LONG])["tags"] == []


def test_a_deleted_dashboard_keeps_its_tags(emulator: Emulator) -> None:
    made = make(emulator, tags=["a"])
    assert got(ask(emulator, "PATCH", at(made), json={"deleted": True}))["tags"] == ["a"]
    assert got(ask(emulator, "PATCH", at(made), json={"deleted": False}))["tags"] == ["a"]


def test_tags_are_known_again_when_the_file_is_opened_again(tmp_path: Any) -> None:
    path = str(tmp_path / "state.sqlite")
    state = PostHogState(path)
    state.add_dashboard(tags=["a"])
    state.close()
    opened = PostHogState(path)
    assert opened.is_tag(1, "a")
    opened.close()
