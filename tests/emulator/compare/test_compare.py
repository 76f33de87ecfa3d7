"""The command that compares the emulator with recordings.

The recordings here are made up, and their ids are not the emulator's: they test the command. They have gaps: the
requests that created some dashboards, a password and settings (number 8), and that restored a dashboard, are missing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_databrain.emulator.compare.__main__ import main

RECORDINGS = Path(__file__).parent / "recordings"
FILES = sorted(path.stem for path in RECORDINGS.glob("*.json"))
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the recordings, which a test may change."""
    return Path(shutil.copytree(RECORDINGS, tmp_path / "recordings"))


def plant(folder: Path, file: str, change: Change) -> None:
    """Change one recording."""
    path = folder / f"{file}.json"
    recording = json.loads(path.read_text())
    change(recording)
    path.write_text(json.dumps(recording))


def reported(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, list[str]]]:
    """The command's exit code, and its lines about each recording that differs."""
    code = main([str(folder)])
    differences: dict[str, list[str]] = {}
    latest = ""
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("differs "):
            latest = line.split()[1]
            differences[latest] = []
        elif line.startswith("   "):
            differences[latest].append(line.strip())
    return code, differences


def test_recordings_that_the_emulator_reproduces_have_no_difference(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "INDEX.tsv").write_text("file\tmethod\n")
    assert main([str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [["same", file] for file in FILES]
    assert "body not compared" in lines[FILES.index("15_link_unknown")]
    assert lines[-1] == f"{len(FILES)} requests, 0 answered differently than recorded"


def status(recording: dict[str, Any]) -> None:
    recording["response"]["status"] = 299


def error_detail(recording: dict[str, Any]) -> None:
    recording["response"]["body"]["detail"] = "Another reason."


def error_key(recording: dict[str, Any]) -> None:
    del recording["response"]["body"]["attr"]


def missing_key(recording: dict[str, Any]) -> None:
    recording["response"]["body"]["newer_field"] = 1


def extra_key(recording: dict[str, Any]) -> None:
    del recording["response"]["body"]["tiles"][0]["color"]


def in_a_list(recording: dict[str, Any]) -> None:
    del recording["response"]["body"]["results"][0]["tags"]


def kind(recording: dict[str, Any]) -> None:
    recording["response"]["body"]["name"] = 4


def free_content(recording: dict[str, Any]) -> None:
    recording["response"]["body"]["filters"] = ["x"]


def empty(recording: dict[str, Any]) -> None:
    recording["response"]["body"]["tiles"] = []


def media_type(recording: dict[str, Any]) -> None:
    recording["response"]["headers"]["content-type"] = "text/plain"


def wait(recording: dict[str, Any]) -> None:
    recording["response"]["headers"]["Retry-After"] = "20.5"
    del recording["response"]["headers"]["retry-after"]


def text(recording: dict[str, Any]) -> None:
    recording["response"]["body"] = "gone"


def event_type(recording: dict[str, Any]) -> None:
    body = recording["response"]["body"]
    recording["response"]["body"] = body.replace('"type":"complete"', '"type":"finished"')


def event_key(recording: dict[str, Any]) -> None:
    body = recording["response"]["body"]
    recording["response"]["body"] = body.replace('{"type":"complete"}', '{"type":"complete","tiles":2}')


def value(*path: str | int, to: Any) -> Change:
    """Return a change of one value in the recorded body."""

    def change(recording: dict[str, Any]) -> None:
        inside = recording["response"]["body"]
        for step in path[:-1]:
            inside = inside[step]
        inside[path[-1]] = to

    return change


def tile_twice(recording: dict[str, Any]) -> None:
    tiles = recording["response"]["body"]["tiles"]
    tiles.append(tiles[-1])


def event_value(recording: dict[str, Any]) -> None:
    body = recording["response"]["body"]
    recording["response"]["body"] = body.replace('"name":"Recorded"', '"name":"Another"')


def unknown_key(recording: dict[str, Any]) -> None:
    recording["request"]["headers"]["Authorization"] = "Bearer phx_<key_of_nobody>"


@pytest.mark.parametrize(
    ("file", "change", "line"),
    [
        ("10_password_removed", status, "status: 299 recorded, 204 answered"),
        (
            "01_list_without_key",
            error_detail,
            "error detail: 'Another reason.' recorded, 'Authentication credentials were not provided.' answered",
        ),
        ("01_list_without_key", error_key, "error attr: nothing recorded, None answered"),
        ("03_create", missing_key, "body.newer_field: recorded, not answered"),
        ("06_text", extra_key, "body.tiles[0].color: answered, not recorded"),
        ("02_list", in_a_list, "body.results[0].tags: answered, not recorded"),
        ("03_create", kind, "body.name: a number recorded, a string answered"),
        ("03_create", free_content, "body.filters: a list recorded, an object answered"),
        ("06_text", empty, "body.tiles: an empty list recorded, a list answered"),
        ("03_create", media_type, "media type: 'text/plain' recorded, 'application/json' answered"),
        ("10_password_removed", text, "body: 'gone' recorded, '' answered"),
        ("13_stream", event_type, "events: ['metadata', 'finished'] recorded, ['metadata', 'complete'] answered"),
        ("13_stream", event_key, "event 1.tiles: recorded, not answered"),
        ("03_create", value("name", to="Other"), "body.name: 'Other' recorded, 'Recorded' answered"),
        ("03_create", value("tags", to=["u"]), "body.tags: ['u'] recorded, ['t'] answered"),
        ("03_create", value("pinned", to=True), "body.pinned: True recorded, False answered"),
        ("03_create", value("restriction_level", to=21), "body.restriction_level: 21 recorded, 37 answered"),
        ("03_create", value("filters", to={"a": 1}), "body.filters: {'a': 1} recorded, {} answered"),
        (
            "03_create",
            value("creation_mode", to="template"),
            "body.creation_mode: 'template' recorded, 'default' answered",
        ),
        ("02_list", value("count", to=2), "body.count: 2 recorded, 1 answered"),
        (
            "05_insight",
            value("query", to={"kind": "Q"}),
            "body.query: {'kind': 'Q'} recorded, {'kind': 'InsightVizNode'} answered",
        ),
        ("06_text", tile_twice, "body.tiles: 3 items recorded, 2 answered"),
        (
            "06_text",
            value("tiles", 0, "text", "body", to="Bye"),
            "body.tiles[0].text.body: 'Bye' recorded, 'Hello' answered",
        ),
        ("06_text", value("tiles", 0, "color", to="red"), "body.tiles[0].color: a string recorded, null answered"),
        ("07_collaborator", value("dashboard_id", to=91), "body.dashboard_id: 91 recorded, which is"),
        (
            "07_collaborator",
            value("user", "uuid", to="0fd3a2b4-0000-4000-8000-00000000000a"),
            "body.user.uuid: '0fd3a2b4-0000-4000-8000-00000000000a' recorded, which is",
        ),
        ("13_stream", event_value, "event 0.dashboard.name: 'Another' recorded, 'Recorded' answered"),
        ("03_create", unknown_key, "key: 'key_of_nobody' is unknown"),
    ],
)
def test_each_kind_of_difference_is_reported_where_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str, change: Change, line: str
) -> None:
    plant(folder, file, change)
    code, differences = reported(folder, capsys)
    assert code == 1
    assert any(reported.startswith(line) for reported in differences[file])


@pytest.mark.parametrize(
    "change",
    [
        value("created_at", to="2000-01-01T00:00:00Z"),
        value("created_by", "email", to="someone@example.com"),
        value("team_id", to=4),
        value("id", to=4711),
    ],
)
def test_a_value_that_no_request_determines_is_not_compared(
    folder: Path, capsys: pytest.CaptureFixture[str], change: Change
) -> None:
    plant(folder, "03_create", change)
    _, differences = reported(folder, capsys)
    assert "03_create" not in differences


def test_a_query_may_have_defaults_that_the_server_added(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant(folder, "05_insight", value("query", to={"kind": "InsightVizNode", "source": None}))
    assert reported(folder, capsys) == (0, {})


def test_rows_that_sort_equally_may_have_any_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def turned(recording: dict[str, Any]) -> None:
        row = recording["response"]["body"]["results"][0]
        body = recording["response"]["body"]
        body["results"] = [row | {"id": 56}, row | {"id": 55}]
        body["count"] = 2

    plant(folder, "02_list", turned)
    assert reported(folder, capsys) == (0, {})


def test_a_state_that_a_missing_request_left_is_taken_from_the_next_answer(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = value("name", to="Renamed")
    plant(folder, "12_deleted", renamed)
    assert "12_deleted" in reported(folder, capsys)[1]
    shutil.move(folder / "12_deleted.json", folder / "120_deleted.json")
    assert "120_deleted" not in reported(folder, capsys)[1]


@pytest.mark.parametrize("arguments", [[], ["--version", "2026-01"]])
def test_the_version_is_that_of_the_recordings_unless_it_is_given(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    for file in FILES:
        if file > "03":
            (folder / f"{file}.json").unlink()
    newer = {"last_viewed_at", "team_id"}

    def older(recording: dict[str, Any]) -> None:
        recording["provenance"] = "unmodified source of 2025-08-04"
        for row in recording["response"]["body"].get("results", []):
            for name in newer:
                del row[name]

    for file in ("01_list_without_key", "02_list"):
        plant(folder, file, older)
    assert main([str(folder), *arguments]) == (1 if arguments else 0)
    assert ("body.results[0].team_id: answered, not recorded" in capsys.readouterr().out) is bool(arguments)


def test_a_difference_is_reported_for_its_recording_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant(folder, "06_text", extra_key)
    assert reported(folder, capsys) == (1, {"06_text": ["body.tiles[0].color: answered, not recorded"]})


def test_a_wait_is_compared_as_it_was_sent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant(folder, "16_too_many", wait)
    _, differences = reported(folder, capsys)
    assert differences["16_too_many"][0] == "Retry-After: '20.5' recorded, '21' answered"


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_recordings_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], exists: bool
) -> None:
    folder = tmp_path / "none"
    if exists:
        folder.mkdir()
    with pytest.raises(SystemExit) as ended:
        main([str(folder)])
    assert ended.value.code == 2
    assert "no recordings in" in capsys.readouterr().err
