"""``make ui-check``: fills in each connection form in Airflow's UI, saves it, and tests the connection.

It drives headless Chromium against a real Airflow and the emulator. It writes screenshots to ``build/ui``.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from demo.__main__ import ROOT, emulator
from demo.local_airflow import LocalAirflow
from demo.targets import Credentials

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass(frozen=True)
class Form:
    """The form of one connection type, and the values to fill in.

    :param option: its name in the list of connection types.
    :param path: the path after the emulator's host, for the host field.
    :param extra: the values of the type's own fields, by name.
    """

    conn_type: str
    option: str
    path: str
    password: str
    extra: Mapping[str, str]

    @property
    def conn_id(self) -> str:
        """The id of the new connection."""
        return f"{self.conn_type}_form"


def forms(credentials: Credentials) -> list[Form]:
    """Return the forms of the three connection types."""
    databrain = {"service_token": credentials.service_token, "workspace_name": "analytics"}
    return [
        Form("databrain", "Databrain", "", credentials.api_key, databrain),
        Form("posthog", "PostHog", "", credentials.posthog_key, {"project_id": "1"}),
        Form("conduit", "Conduit", "/v2", credentials.conduit_token, {}),
    ]


def fill_in(page: Page, airflow_url: str, form: Form, server: str, pictures: Path) -> None:
    """Add a connection through the form, like a person."""
    page.goto(f"{airflow_url}/connections")
    page.get_by_role("button", name="Add Connection").first.click()
    dialog = page.get_by_role("dialog")
    dialog.locator('input[name="connection_id"]').fill(form.conn_id)
    dialog.get_by_role("combobox").first.click()
    page.keyboard.type(form.conn_type)
    page.get_by_role("option", name=form.option, exact=True).click()
    host, _, port = server.rpartition(":")
    dialog.locator('input[name="host"]').fill(host + form.path)
    # Without a port, Airflow 3.3.2 refuses to test any saved connection (apache/airflow#73298).
    dialog.locator('input[name="port"]').fill(port)
    dialog.locator('input[name="password"]').fill(form.password)
    page.screenshot(path=pictures / f"{form.conn_type}-1-standard-fields.png", full_page=True)
    extra = dialog.get_by_role("button", name="Extra Fields", exact=True)
    if extra.count():
        extra.click()
    for name, value in form.extra.items():
        dialog.locator(f'input[name="element_{name}"]').fill(value)
    page.screenshot(path=pictures / f"{form.conn_type}-2-own-fields.png", full_page=True)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()


def press_test_button(page: Page, form: Form, pictures: Path) -> dict[str, object]:
    """Press the saved connection's test button. Return Airflow's answer."""
    row = page.get_by_role("row", name=form.conn_id)
    with page.expect_response("**/connections/test") as answered:
        row.get_by_role("button", name="Test Connection").click()
    result: dict[str, object] = answered.value.json()
    row.hover()
    page.screenshot(path=pictures / f"{form.conn_type}-3-tested.png", full_page=True)
    return result


def main() -> int:
    """Run the check. Return 1 if the test of a saved connection fails, else 0."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("This check needs Chromium: apt-get install chromium", file=sys.stderr)
        return 1
    folder = ROOT / "build" / "ui"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    credentials = Credentials.load(folder / "credentials.json")
    airflow = LocalAirflow(folder / "airflow", ROOT / "example_dags")
    with emulator(folder, credentials) as url, airflow, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        results = []
        for form in forms(credentials):
            fill_in(page, airflow.url, form, url, folder)
            results.append(press_test_button(page, form, folder))
        page.goto(url)
        page.screenshot(path=folder / "emulator.png", full_page=True)
        browser.close()
    for result in results:
        print(f"Airflow's test of the connection: {result}")
    print(f"Screenshots are in {folder}.")
    return 0 if all(result.get("status") is True for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
