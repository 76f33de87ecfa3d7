"""The command that serves the emulator."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from airflow_provider_databrain.emulator.__main__ import main, parser
from tests.emulator.client import CREATE, EMBEDS, WORKSPACES, body
from tests.emulator.posthog.client import DASHBOARDS

ROOT = Path(__file__).parents[2]
KEY, SERVICE, POSTHOG = "key-of-the-environment", "service-token-of-the-environment", "phx_of_the_environment"


@contextmanager
def command(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command in a folder. Yields the URL in its first line, and the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_databrain.emulator", "--port", "0", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        match = re.fullmatch(r"Emulator at (http://\S+)\n", first)
        assert match, first
        yield match[1], process
    finally:
        process.terminate()
        process.wait(timeout=10)
        process.stdout.close()


def get(url: str, path: str, token: str) -> requests.Response:
    return requests.get(url + path, headers={"Authorization": f"Bearer {token}"}, timeout=5)


def test_the_command_serves_this_machine_with_the_tokens_of_the_environment(tmp_path: Path) -> None:
    tokens = {
        "DATABRAIN_EMULATOR_API_KEY": KEY,
        "DATABRAIN_EMULATOR_SERVICE_TOKEN": SERVICE,
        "POSTHOG_EMULATOR_API_KEY": POSTHOG,
    }
    with command(tmp_path, "--workspace", "first", **tokens) as (url, process):
        assert url.startswith("http://127.0.0.1:")
        assert get(url, WORKSPACES, SERVICE).json()["data"] == [{"name": "first"}]
        answer = requests.post(
            url + CREATE, json=body(workspaceName="first"), headers={"Authorization": f"Bearer {KEY}"}, timeout=5
        )
        assert answer.json()["id"] == "client-acme"
        assert get(url, EMBEDS, SERVICE).status_code == 401
        assert get(url, DASHBOARDS, POSTHOG).json()["results"] == []
        process.terminate()
        assert process.stdout is not None
        printed = process.stdout.read()
        process.wait(timeout=10)
    assert KEY not in printed
    assert SERVICE not in printed
    assert POSTHOG not in printed
    assert (tmp_path / "databrain-emulator.sqlite").exists()


def test_without_tokens_in_the_environment_the_command_makes_them_up_and_prints_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABRAIN_EMULATOR_API_KEY", raising=False)
    monkeypatch.delenv("DATABRAIN_EMULATOR_SERVICE_TOKEN", raising=False)
    monkeypatch.delenv("POSTHOG_EMULATOR_API_KEY", raising=False)
    with command(tmp_path, "--db", "other.sqlite") as (url, process):
        assert process.stdout is not None
        key = process.stdout.readline().removeprefix("data app API key:").strip()
        service = process.stdout.readline().removeprefix("service token:").strip()
        posthog = process.stdout.readline().removeprefix("PostHog API key:").strip()
        assert key != service
        assert posthog.startswith("phx_")
        assert get(url, DASHBOARDS, posthog).json()["count"] == 0
        assert get(url, EMBEDS, key).json() == {"data": [], "error": None}
        assert get(url, WORKSPACES, service).json()["data"] == [{"name": "analytics"}]
    assert (tmp_path / "other.sqlite").exists()


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(OSError, match="in use"):
        main(["--port", str(listener.getsockname()[1]), "--db", str(tmp_path / "x.sqlite")])


def test_help_names_the_variables_and_the_defaults() -> None:
    text = " ".join(parser().format_help().split())
    for word in (
        "DATABRAIN_EMULATOR_API_KEY",
        "DATABRAIN_EMULATOR_SERVICE_TOKEN",
        "POSTHOG_EMULATOR_API_KEY",
        "127.0.0.1",
        "8095",
    ):
        assert word in text
