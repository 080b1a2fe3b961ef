"""Dagster's page in a real browser, on a fresh instance: one click makes all green, and no page shows an error.

`sources` is the group whose assets have no partitions: the page launches those without asking which ones, and what
they find (users) makes the sensors do the rest. The sensors look every 30 seconds, so this takes a minute or two.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from malsugoi_assets.app.instance import open_instance
from malsugoi_assets.mal.replica import ensure_replica, stop_replica
from malsugoi_assets.settings import Settings
from malsugoi_assets.warehouse.tables import TABLES
from malsugoi_tests.support.dagster_dev import DagsterDev, free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Chromium and chromedriver on the PATH"),
]
PATIENCE_SECONDS = 480.0
ASSETS = [name for name, table in TABLES.items() if table.published]
GROUP = "/locations/__repository__@malsugoi/asset-groups/sources"
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1600,1200",
)
STATE = """{
  assetNodes { assetKey { path } partitionDefinition { name } assetMaterializations(limit: 1) { timestamp }
               partitionStats { numMaterialized numFailed numPartitions } staleStatus }
  runsOrError { ... on Runs { results { status jobName } } }
}"""


def until(is_so: Callable[[], Any], what: Callable[[], str]) -> Any:
    """What `is_so` returns as soon as that is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if found := is_so():
                return found
        time.sleep(0.5)
    raise AssertionError(what())


@dataclass(frozen=True)
class Page:
    """Dagster's page in a browser."""

    dev: DagsterDev
    browser: Any

    def ask(self, query: str) -> Any:
        """What GraphQL answers."""
        body = json.dumps({"query": query}).encode()
        self.dev.check_alive()
        request = urllib.request.Request(f"{self.dev.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]

    def open(self, path: str, *expected: str) -> str:
        """The text of the page at `path`, as soon as it holds what is expected."""
        self.browser.get(self.dev.url + path)
        until(lambda: all(word in self.text() for word in expected), lambda: f"{path}: {self.text()}")
        return self.text()

    def text(self) -> str:
        return str(self.browser.execute_script("return document.body ? document.body.innerText : ''"))

    def click(self, label: str) -> None:
        """Click the button that starts with `label`, as soon as there is one that may be clicked."""
        script = """return [...document.querySelectorAll('button')].filter(
            b => b.innerText.trim().startsWith(arguments[0]) && !b.disabled)[0]"""
        until(lambda: self.browser.execute_script(script, label), lambda: f"no button {label}: {self.text()}").click()

    def complaints(self) -> list[str]:
        """Errors on the browser's console since the last time."""
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """The page of a fresh instance over a small replica; everything that was started ends with it."""
    root = tmp_path_factory.mktemp("page")
    data_dir = root / "data"
    # PYTHONWARNINGS: what a user's terminal shows is looked at.
    dev = DagsterDev(data_dir, {"MALSUGOI_BATCH_SIZE": "25", "PYTHONWARNINGS": None})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", "")  # `open_instance` sets it for this process
        open_instance(Settings.load({"MALSUGOI_DATA_DIR": str(data_dir)})).dispose()
    with contextlib.ExitStack() as stack:
        ensure_replica(data_dir, n_anime=60, n_users=25, seed=3)
        stack.callback(stop_replica, data_dir)
        stack.callback(dev.kill)
        dev.start()
        page = Page(dev, stack.enter_context(_browser(root / "profile")))
        until(lambda: page.ask("{ version }"), dev.last_words)
        yield page


@contextlib.contextmanager
def _browser(profile: Path) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=Service(str(DRIVER), port=free_port()))
    try:
        yield browser
    finally:
        browser.quit()


@pytest.fixture(scope="module")
def finished(page: Page) -> Page:
    """The page after the one click, when nothing is left to do."""
    page.open(GROUP, "raw_anime_pages", "anime_features")
    page.click("Materialize all")

    def green() -> bool:
        state = page.ask(STATE)
        statuses = {run["status"] for run in state["runsOrError"]["results"]}
        assert statuses <= {"QUEUED", "NOT_STARTED", "STARTING", "STARTED", "SUCCESS"}, state["runsOrError"]
        return statuses == {"SUCCESS"} and all(_is_green(node) for node in state["assetNodes"])

    until(green, lambda: json.dumps(page.ask(STATE)))
    return page


def _is_green(node: dict[str, Any]) -> bool:
    if stats := node["partitionStats"]:
        return 0 < stats["numPartitions"] == stats["numMaterialized"] and not stats["numFailed"]
    return bool(node["assetMaterializations"]) and node["staleStatus"] in (None, "FRESH")


def test_the_whole_lineage_needs_no_choice_of_partition_where_the_address_names_the_first(page: Page) -> None:
    """Without it the dialog opens with nothing selected, and its button waits for a click on "All"."""
    page.open("/asset-groups?partition=batch-000000", "sources", "recommendations")
    page.click("Materialize all")
    until(lambda: "Launch 1 run" in page.text(), page.text)
    assert "1 partition" in page.text()
    page.click("Cancel")


def test_one_click_makes_everything_green(finished: Page) -> None:
    runs = [run["jobName"] for run in finished.ask(STATE)["runsOrError"]["results"]]
    # One run was started by the click; the sensors did the others, each batch and each model once.
    started_by_sensors = ["batch_predictions", "collaborative_filtering", "deep_model", "user_batch"]
    assert sorted(job for job in runs if job != "__ASSET_JOB") == started_by_sensors
    assert runs.count("__ASSET_JOB") == 1


def test_an_asset_shows_its_preview_its_plot_and_no_error(finished: Page) -> None:
    drawn = set()
    for name in ASSETS:
        text = finished.open(f"/assets/{name}?view=overview", "Row count", "preview", "Columns")
        assert not [word for word in ("Unsynced", "Failed", "Something went wrong", "Exception") if word in text]
        widths = finished.browser.execute_script(
            "return [...document.images].filter(i => i.src.startsWith('data:')).map(i => i.naturalWidth)"
        )
        assert all(widths), f"{name}: a plot that the browser cannot read"
        drawn |= {name} if widths else set()
    assert {"rating_matrix", "similarity_matrix", "dnn_model", "dnn_metrics", "recommendations"} <= drawn
    assert finished.complaints() == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/jobs", "batch_predictions"),
        ("/runs", "deep_model"),
        ("/automation", "catch_up"),
        ("/deployment/locations", "Loaded"),
        ("/deployment/daemons", "Running"),
        ("/assets/user_lists?view=partitions", "batch-000000"),
        ("/assets/user_lists?view=checks", "declaration"),
        ("/asset-groups", "sources"),
    ],
)
def test_a_page_shows_what_it_is_for_and_no_error(finished: Page, path: str, expected: str) -> None:
    text = finished.open(path, expected)
    assert not [
        word for word in ("Something went wrong", "GraphQL error", "Not running", "Exception") if word in text
    ]
    assert finished.complaints() == []


def test_the_terminal_shows_no_warning_of_ours(finished: Page) -> None:
    shown = finished.dev.log.read_text()
    assert not [line for line in shown.splitlines() if "BetaWarning" in line or "PreviewWarning" in line]
    assert "telemetry" not in shown.lower()
    assert "Traceback" not in shown
