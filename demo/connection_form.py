"""``make ui-check``: fill in the connection form in Airflow's own UI, save it, and test the connection.

Drives headless Chromium against a real Airflow and the emulator; leaves screenshots in ``build/ui``.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from demo.__main__ import ROOT, emulator
from demo.local_airflow import LocalAirflow
from demo.targets import Credentials

CONN_ID = "databrain_form"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def fill_in(page: Page, airflow_url: str, databrain_url: str, credentials: Credentials, pictures: Path) -> None:
    """Add a connection of type Databrain through the form, as a person would."""
    page.goto(f"{airflow_url}/connections")
    page.get_by_role("button", name="Add Connection").first.click()
    dialog = page.get_by_role("dialog")
    dialog.locator('input[name="connection_id"]').fill(CONN_ID)
    dialog.get_by_role("combobox").first.click()
    page.keyboard.type("databrain")
    page.get_by_role("option", name="Databrain", exact=True).click()
    host, _, port = databrain_url.rpartition(":")
    dialog.locator('input[name="host"]').fill(host)
    # Without a port, Airflow 3.3.2 refuses to test any saved connection (apache/airflow#73298).
    dialog.locator('input[name="port"]').fill(port)
    dialog.locator('input[name="password"]').fill(credentials.api_key)
    page.screenshot(path=pictures / "1-standard-fields.png", full_page=True)
    extra = dialog.get_by_role("button", name="Extra Fields", exact=True)
    if extra.count():
        extra.click()
    dialog.locator('input[name="element_service_token"]').fill(credentials.service_token)
    dialog.locator('input[name="element_workspace_name"]').fill("analytics")
    page.screenshot(path=pictures / "2-own-fields.png", full_page=True)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()


def press_test_button(page: Page, pictures: Path) -> dict[str, object]:
    """Press the saved connection's test button; returns what Airflow answered."""
    row = page.get_by_role("row", name=CONN_ID)
    with page.expect_response("**/connections/test") as answered:
        row.get_by_role("button", name="Test Connection").click()
    verdict: dict[str, object] = answered.value.json()
    row.hover()
    page.screenshot(path=pictures / "3-tested.png", full_page=True)
    return verdict


def main() -> int:
    """Run the check; 1 where the saved connection does not test well."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is needed: apt-get install chromium", file=sys.stderr)
        return 1
    folder = ROOT / "build" / "ui"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    credentials = Credentials.load(folder / "credentials.json")
    airflow = LocalAirflow(folder / "airflow", ROOT / "example_dags")
    with emulator(folder, credentials) as url, airflow, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        fill_in(page, airflow.url, url, credentials, folder)
        verdict = press_test_button(page, folder)
        browser.close()
    print(f"Airflow's verdict: {verdict}. Screenshots are in {folder}.")
    return 0 if verdict.get("status") is True else 1


if __name__ == "__main__":
    sys.exit(main())
