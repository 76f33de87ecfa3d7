"""What the emulator refuses: other hosts' names, large bodies, patterns that take long; and who may read its file."""

from __future__ import annotations

import os
import re
import socket
import stat
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_databrain.emulator.__main__ import parser, prepare
from airflow_provider_databrain.emulator.guard import MAX_BODY_MIB
from airflow_provider_databrain.emulator.pattern import PathPattern
from airflow_provider_databrain.emulator.server import Emulator
from airflow_provider_databrain.emulator.store import Store
from tests.emulator.client import CREATE

PATHS = ["/", "/_emulator/requests", "/_emulator/calls", "/api/v2/data-app/embeds", "/v2/workspaces/", "/nothing"]
MIB = b"x" * 1024 * 1024


def get(url: str, host: str, path: str = "/") -> requests.Response:
    return requests.get(url + path, headers={"Host": host}, timeout=5)


@pytest.mark.parametrize("path", PATHS)
def test_other_hosts_are_refused_on_every_path(emulator: Emulator, path: str) -> None:
    answer = get(emulator.url, "evil.example:8095", path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (421, "text/plain; charset=utf-8")
    assert list(emulator.control.log) == []


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example:80",
        "10.0.0.1",
        "0.0.0.0",
        "[::2]",
        "localhost@evil.example",
        "127.0.0.1:80:80",
        "[::1",
        "",
        "evil.localhost.",
    ],
)
def test_a_name_that_is_not_this_machines_is_refused(emulator: Emulator, host: str) -> None:
    status = get(emulator.url, host).status_code
    assert status in (400, 421) if host != "[::1" else status in (200, 400, 421)


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8095", "127.0.0.1", "127.1.2.3:1", "[::1]", "[::1]:8095", "localhost.", "localhost:"],
)
def test_names_of_this_machine_are_answered(emulator: Emulator, host: str) -> None:
    assert get(emulator.url, host).status_code == 200


@pytest.mark.parametrize("headers", [b"", b"Host: localhost\r\nHost: evil.example\r\n"])
def test_no_host_and_two_hosts_are_refused(emulator: Emulator, headers: bytes) -> None:
    assert raw(emulator, b"GET / HTTP/1.0\r\n" + headers + b"\r\n").split()[1] in (b"400", b"421")


def test_the_command_allows_the_names_that_it_is_told(tmp_path: Path) -> None:
    arguments = [
        "--port",
        "0",
        "--db",
        str(tmp_path / "x"),
        "--allow-host",
        "emulator",
        "--allow-host",
        "Other.Example",
    ]
    with prepare(parser().parse_args(arguments)) as emulator:
        for host, status in (
            ("emulator:8095", 200),
            ("other.example", 200),
            ("third.example", 421),
            ("localhost", 200),
        ):
            assert get(emulator.url, host).status_code == status


@pytest.mark.parametrize("path", [CREATE, "/_emulator/faults", "/v2/workspaces/", "/api/projects/1/dashboards/"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_not_read(emulator: Emulator, path: str, chunked: bool) -> None:
    method = b"PUT" if "faults" in path else b"POST"
    request = method + b" " + path.encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    tokens = {CREATE: emulator.api_key, "/v2/workspaces/": emulator.conduit_token}
    request += f"Authorization: Bearer {tokens.get(path, emulator.posthog_key)}\r\n".encode()
    if chunked:
        # One byte too much. If more were on its way, the connection would be reset, and the answer could be lost.
        request += b"Transfer-Encoding: chunked\r\n\r\n"
        request += (b"100000\r\n" + MIB + b"\r\n") * MAX_BODY_MIB + b"1\r\nx"
    else:
        request += f"Content-Length: {100 * len(MIB)}\r\n\r\n".encode()
    assert raw(emulator, request).split()[1] == b"413"
    assert get(emulator.url, "localhost").status_code == 200


def raw(emulator: Emulator, request: bytes) -> bytes:
    address = urlsplit(emulator.url)
    with closing(socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=30)) as connection:
        connection.sendall(request)
        return connection.recv(4096)


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "embeds$",
        r"^/v2/",
        r"dashboards/\d+/$",
        "a|b",
        "a.c",
        "[a-c]+d",
        "[^/]+$",
        r"\.",
        "x?y*z+",
        "a[|]b",
        "^$",
        "é+",
    ],
)
def test_a_pattern_means_the_same_as_a_regular_expression(pattern: str) -> None:
    for text in (
        "",
        "/v2/",
        "/x/embeds",
        "/embeds/",
        "dashboards/12/",
        "b",
        "abc",
        "abd",
        "a|b",
        "z",
        "yyzz",
        ".",
        "éé",
    ):
        assert PathPattern(pattern).is_in(text) == bool(re.search(pattern, text)), (pattern, text)


@pytest.mark.parametrize("pattern", ["(a+)+$", "a{1,9}", "(?:x)", "a**", "[a", "a\\", "x^y", "+", "[z-a]", "a" * 201])
def test_other_patterns_are_refused(emulator: Emulator, pattern: str) -> None:
    rule = {"kind": "html", "path": pattern}
    answer = requests.put(f"{emulator.url}/_emulator/faults", json=[rule], timeout=5)
    assert answer.status_code == 422
    assert emulator.control.faults == []


def test_no_pattern_takes_long() -> None:
    # A search that goes back would need more than the age of the universe.
    assert not PathPattern("a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b").is_in("a" * 2000)


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_only_the_owner_can_read_the_state(tmp_path: Path, mask: int) -> None:
    path = tmp_path / "state.sqlite"
    before = os.umask(mask)
    try:
        store = Store(str(path), "CREATE TABLE IF NOT EXISTS things (id INTEGER PRIMARY KEY)")
        store.insert("INSERT INTO things VALUES (1)")
        assert len(list(tmp_path.iterdir())) == 3
        assert modes(tmp_path) == {0o600}
        store.close()
    finally:
        os.umask(before)
    assert modes(tmp_path) == {0o600}


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    Store(str(path), "").close()
    path.chmod(0o666)
    Store(str(path), "").close()
    assert modes(tmp_path) == {0o600}


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
