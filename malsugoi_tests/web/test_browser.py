"""The page in a real browser: by keyboard from a list to a title's page, on a phone, in the dark, without barriers.

axe-core looks for barriers (WCAG 2.2 AA among them). It is fetched from the npm registry when the test runs and is not
part of the project; without it, or without npm, those tests are skipped and say so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from malsugoi_assets.mal.browser import installed
from malsugoi_assets.web import keeping
from malsugoi_tests.support.browsers import needs_chromium
from malsugoi_tests.support.processes import start
from malsugoi_tests.web.served import Served, serving
from malsugoi_tests.web.world import LIKES, USER, export, publish

pytestmark = [pytest.mark.slow, pytest.mark.browser, needs_chromium]
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
PHONE, DESK = (390, 844), (1280, 900)
AXE = "axe-core@4.14.1"
PAGES = (
    "/",
    f"/recommendations?user={USER}",
    f"/recommendations?user={USER}&length=5",
    f"/profile?user={USER}",
    f"/season?user={USER}",
    f"/map?user={USER}",
    f"/title/100?user={USER}",
    "/search?q=lanter",
    "/pipeline",
    "/rate",
    "/nowhere",
)


@pytest.fixture(scope="module")
def served(world: Path) -> Iterator[Served]:
    with serving(world) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from selenium import webdriver

    found = installed()
    assert found is not None
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for option in OPTIONS:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(found[1]))
    driver.set_page_load_timeout(60)
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of axe-core."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    if npm is None:
        pytest.skip("needs npm, to fetch axe-core")
    fetched = subprocess.run(
        [npm, "pack", "--silent", AXE], cwd=folder, capture_output=True, timeout=120, check=False
    )
    packed = list(folder.glob("*.tgz"))
    if fetched.returncode or not packed:
        pytest.skip(f"{AXE} could not be fetched: {fetched.stderr.decode()[-200:]}")
    with tarfile.open(packed[0]) as archive:
        text = archive.extractfile("package/axe.min.js")
        assert text is not None
        return text.read().decode()


def as_seen(browser: Any, size: tuple[int, int], *, dark: bool) -> None:
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def complaints(browser: Any) -> list[str]:
    """What the console says, but for the answers that are errors on purpose."""
    return [e["message"] for e in browser.get_log("browser") if "status of 404" not in e["message"]]


def until(browser: Any, is_so: Callable[[], bool]) -> None:
    """Wait for the next page, whole.

    While one page gives way to the next, any question to the driver may fail: its element is stale, its node belongs to
    no document, its frame is gone. Which of them it is differs by version, so every failure is asked again.
    """
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.support.ui import WebDriverWait

    def is_there(_: Any) -> bool:
        return bool(browser.execute_script("return document.readyState == 'complete'")) and is_so()

    WebDriverWait(browser, 60, 0.05, [WebDriverException]).until(is_there)


def press(browser: Any, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(browser).send_keys(*keys).perform()


def tab_to(browser: Any, wanted: str) -> Any:
    """Press Tab until the element that has the focus fits the selector."""
    from selenium.webdriver.common.keys import Keys

    for _ in range(120):
        press(browser, Keys.TAB)
        focused = browser.switch_to.active_element
        if browser.execute_script("return arguments[0].matches(arguments[1])", focused, wanted):
            assert browser.execute_script(
                "const s = getComputedStyle(arguments[0]); return s.outlineStyle != 'none' && s.outlineWidth != '0px'",
                focused,
            ), "what has the focus is seen to have it"
            return focused
    raise AssertionError(f"no Tab leads to {wanted}")


def barriers(browser: Any, axe: str) -> list[tuple[str, list[str]]]:
    """What axe finds on the page: the rule that is broken, and where."""
    browser.execute_script(axe)
    found = browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations))"
    )
    return [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in found]


@pytest.mark.parametrize("size", [PHONE, DESK])
def test_by_keyboard_from_a_list_to_a_titles_page(
    served: Served, browser: Any, tmp_path: Path, size: tuple[int, int]
) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    file = tmp_path / "animelist_1700000000_-_1.xml.gz"
    file.write_bytes(export(LIKES))
    as_seen(browser, size, dark=True)
    browser.delete_all_cookies()
    browser.get(served.url)
    press(browser, Keys.TAB)
    assert browser.switch_to.active_element.get_attribute("class") == "skip"
    press(browser, Keys.ENTER)
    # The dialog that chooses a file is the system's; what it would give is given.
    tab_to(browser, "input[type=file]").send_keys(str(file))
    tab_to(browser, "form[action='/upload'] button")
    press(browser, Keys.ENTER)
    until(browser, lambda: browser.find_element(By.TAG_NAME, "h1").text == "For me")
    assert browser.current_url == f"{served.url}/recommendations"
    first = tab_to(browser, ".card h2 a")
    title = first.text
    press(browser, Keys.ENTER)
    until(browser, lambda: browser.find_element(By.TAG_NAME, "h1").text == title)
    assert "/title/" in browser.current_url
    tab_to(browser, "form[action='/forget'] button")
    press(browser, Keys.ENTER)
    until(browser, lambda: browser.current_url == f"{served.url}/")
    assert complaints(browser) == []


def test_a_file_that_is_too_large_is_answered_and_not_cut_off(served: Served, browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.by import By

    large = tmp_path / "large.xml"
    with large.open("wb") as file:
        file.truncate(60 * 2**20)
    browser.get(served.url)
    browser.find_element(By.ID, "file").send_keys(str(large))
    browser.find_element(By.CSS_SELECTOR, "form[action='/upload'] button").click()
    until(browser, lambda: browser.find_element(By.TAG_NAME, "h1").text == "Too large")
    assert [entry for entry in complaints(browser) if "status of 413" not in entry] == []


@pytest.mark.parametrize("path", PAGES)
def test_a_phone_shows_each_page_without_scrolling_sideways(served: Served, browser: Any, path: str) -> None:
    as_seen(browser, PHONE, dark=False)
    browser.get(served.url + path)
    assert browser.execute_script("return document.scrollingElement.scrollWidth") <= PHONE[0]
    small = browser.execute_script(
        "return [...document.querySelectorAll('button, select, nav a, input:not([type=hidden])')]"
        ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 20).map(e => e.outerHTML)"
    )
    assert small == []
    assert complaints(browser) == []


@pytest.mark.parametrize("path", PAGES)
def test_axe_finds_no_barrier(served: Served, browser: Any, axe: str, path: str) -> None:
    for size in (PHONE, DESK):
        for dark in (False, True):
            as_seen(browser, size, dark=dark)
            browser.get(served.url + path)
            if "Filters" in browser.page_source:
                browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
            told = barriers(browser, axe)
            assert told == [], f"{size}, dark: {dark}: {json.dumps(told, indent=1)}"


def test_marking_and_keeping_by_keyboard_without_a_barrier(
    served: Served, browser: Any, axe: str, tmp_path: Path
) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    file = tmp_path / "animelist.xml.gz"
    file.write_bytes(export(LIKES))
    as_seen(browser, PHONE, dark=True)
    browser.delete_all_cookies()
    browser.get(served.url)
    browser.find_element(By.ID, "file").send_keys(str(file))
    browser.find_element(By.CSS_SELECTOR, "form[action='/upload'] button").click()
    until(browser, lambda: browser.find_element(By.TAG_NAME, "h1").text == "For me")
    title = browser.find_element(By.CSS_SELECTOR, ".card h2 a").text
    tab_to(browser, ".card .marks button[value='not interested']")
    press(browser, Keys.ENTER)
    until(browser, lambda: bool(browser.find_elements(By.ID, "marked")))
    assert browser.find_element(By.CSS_SELECTOR, ".marked li a").text == title
    assert browser.current_url.endswith("#rank-1"), "one goes on where one was"
    for path in ("/recommendations", "/keep"):
        browser.get(served.url + path)
        assert browser.execute_script("return document.scrollingElement.scrollWidth") <= PHONE[0]
        assert barriers(browser, axe) == []
    browser.get(served.url + "/recommendations")
    tab_to(browser, ".marked button")
    press(browser, Keys.ENTER)
    until(browser, lambda: not browser.find_elements(By.ID, "marked"))
    assert complaints(browser) == []
    browser.delete_all_cookies()


@pytest.mark.parametrize("warned", [False, True], ids=["", "with a warning"])
def test_keeping_by_keyboard_is_answered_without_a_barrier(
    browser: Any, axe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warned: bool
) -> None:
    """The list becomes a user of a world of its own. Where predicting fails after that, the answer is a page of its own."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    publish(root := tmp_path / "data")
    file = tmp_path / "animelist.xml.gz"
    file.write_bytes(export(LIKES))
    as_seen(browser, PHONE, dark=True)
    with serving(root) as served:
        browser.delete_all_cookies()
        browser.get(served.url)
        browser.find_element(By.ID, "file").send_keys(str(file))
        browser.find_element(By.CSS_SELECTOR, "form[action='/upload'] button").click()
        until(browser, lambda: browser.find_element(By.TAG_NAME, "h1").text == "For me")
        tab_to(browser, "a[href='/keep']")
        press(browser, Keys.ENTER)
        until(browser, lambda: browser.find_element(By.TAG_NAME, "h1").text == "Keep this list")
        if warned:
            monkeypatch.setattr(keeping.subprocess, "run", keeps_with_a_warning)
        # What Tab leads to has its text, the name in the file, chosen: typing replaces it.
        tab_to(browser, "#keep-name")
        press(browser, "visitor")
        tab_to(browser, "form[action='/keep'] button")
        press(browser, Keys.ENTER)
        answered = "The list is kept as visitor" if warned else "For visitor"
        until(browser, lambda: browser.find_element(By.TAG_NAME, "h1").text == answered)
        monkeypatch.undo()
        assert barriers(browser, axe) == []
        assert browser.execute_script("return document.scrollingElement.scrollWidth") <= PHONE[0]
        if warned:
            on = tab_to(browser, "main a.button")
            assert on.get_attribute("href") == f"{served.url}/recommendations?user=visitor"
        else:
            forgetting = start(root, "forget", "visitor")
            output, _ = forgetting.communicate(timeout=120)
            assert forgetting.returncode == 0, output

            def is_gone() -> bool:
                browser.refresh()
                return "visitor" not in browser.find_element(By.TAG_NAME, "h1").text

            until(browser, is_gone)  # the page goes on to what is published by itself, a moment later
        assert complaints(browser) == []
    browser.delete_all_cookies()


def keeps_with_a_warning(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
    """`malsugoi import-list` where the models are of an older kind."""
    said = "Warning: the list of visitor is kept; predicted ratings come after `malsugoi run` (an older kind)\n"
    return subprocess.CompletedProcess(command, 0, "", said)


def test_the_dark_is_dark(served: Served, browser: Any) -> None:
    shades = []
    for dark in (False, True):
        as_seen(browser, DESK, dark=dark)
        browser.get(served.url)
        colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        shades.append(sum(int(part) for part in colour.strip("rgb()").split(",")[:3]))
    assert shades[0] > 700
    assert shades[1] < 100


def test_nothing_is_loaded_from_elsewhere(served: Served, browser: Any) -> None:
    for path in PAGES:
        browser.get(served.url + path)
        loaded = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
        assert [address for address in loaded if not address.startswith(served.url)] == []
