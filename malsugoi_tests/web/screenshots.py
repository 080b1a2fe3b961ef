"""Make the pictures of the page that the documentation shows.

malsugoi serve &                                           # of the replica's data dir
python -m malsugoi_tests.web.screenshots http://127.0.0.1:8000 USERNAME docs/img/web
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

from malsugoi_assets.mal.browser import installed

DESK, PHONE = (1200, 800), (390, 844)
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars")
SHOTS = {
    "start-desk": ("/", DESK, False),
    "recommendations-desk": ("/recommendations?user={user}", DESK, False),
    "recommendations-phone": ("/recommendations?user={user}&types=TV&first_year=2005", PHONE, True),
    "filters-phone": ("/recommendations?user={user}&genres=Drama", PHONE, False),
    "title-desk": ("{first}", DESK, False),
    "title-phone": ("{first}", PHONE, True),
    "search-desk": ("/search?q={part}", DESK, False),
    "profile-desk": ("/profile?user={user}", DESK, False),
    "season-desk": ("/season?user={user}", DESK, False),
    "map-desk": ("/map?user={user}", DESK, True),
    "rate-desk": ("/rate", DESK, False),
    "pipeline-desk": ("/pipeline", DESK, False),
    "problem-desk": ("/person?name=nobody+of+that+name", DESK, False),
}
"""By the picture's name: the address, the size, whether it is dark. `first`: the page of the first recommendation."""


def main(url: str, user: str, folder: Path) -> None:
    """Make all of them; a title is marked before and taken back after, to show what that looks like."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.expected_conditions import staleness_of
    from selenium.webdriver.support.wait import WebDriverWait

    browser = _browser()
    try:
        browser.get(f"{url}/recommendations?user={user}")
        link = browser.find_element(By.CSS_SELECTOR, ".card h2 a")
        known = {"user": user, "first": link.get_attribute("href").removeprefix(url), "part": link.text[:6]}
        for name, (path, size, dark) in SHOTS.items():
            _look(browser, size, dark=dark)
            browser.get(url + path.format(**known))
            if name.startswith("filters"):
                browser.execute_script("document.querySelector('details').open = true")
            _take(browser, folder / f"{name}.png")
        _look(browser, DESK, dark=False)
        browser.get(f"{url}/recommendations?user={user}&length=3")
        browser.find_element(By.CSS_SELECTOR, ".marks button[value='not interested']").click()
        browser.execute_script("document.getElementById('rank-1').scrollIntoView()")
        _take(browser, folder / "marked-desk.png")
        taken_back = browser.find_element(By.CSS_SELECTOR, ".marked button")
        taken_back.click()
        WebDriverWait(browser, 10).until(staleness_of(taken_back))  # else the browser may be gone before the answer
    finally:
        browser.quit()


def _browser() -> Any:
    from selenium import webdriver

    found = installed()
    if found is None:
        raise SystemExit("no Chromium is installed")
    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    for option in OPTIONS:
        options.add_argument(option)
    return webdriver.Chrome(options, webdriver.ChromeService(found[1]))


def _look(browser: Any, size: tuple[int, int], *, dark: bool) -> None:
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def _take(browser: Any, file: Path) -> None:
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    file.write_bytes(base64.b64decode(taken["data"]))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
