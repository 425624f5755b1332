"""The page of `llmpath serve` in a real browser, where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from test_serve import Server, expected, serving

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER), reason="there is no chromium with a chromedriver on this machine"
)
ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--window-size=900,700",
)  # fmt: skip
PICTURES = os.environ.get("LLMPATH_TEST_PICTURES")  # a folder for screenshots, to look at


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("page")) as started:
        yield started


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def opened(browser: webdriver.Chrome, server: Server) -> None:
    browser.get(server.url)
    WebDriverWait(browser, 60).until(
        lambda driver: driver.find_element(By.ID, "name").text == "tiny"
    )


def say(browser: webdriver.Chrome, text: str) -> str:
    """Type a message, and wait for the whole answer."""
    before = len(browser.find_elements(By.CSS_SELECTOR, ".turn.model .said:not(.writing)"))
    browser.switch_to.active_element.send_keys(text, Keys.ENTER)
    done = ".turn.model .said:not(.writing)"
    WebDriverWait(browser, 60).until(
        lambda driver: len(driver.find_elements(By.CSS_SELECTOR, done)) > before
    )
    last = browser.find_elements(By.CSS_SELECTOR, done)[-1]
    return str(last.get_property("textContent"))


def look(browser: webdriver.Chrome, name: str) -> None:
    if PICTURES:
        browser.save_screenshot(str(Path(PICTURES) / f"{name}.png"))


def test_one_chats_on_the_page(server: Server, browser: webdriver.Chrome) -> None:
    """By keyboard alone: the field has the focus, Enter sends, and the answer is the model's."""
    opened(browser, server)
    look(browser, "empty")
    browser.find_element(By.CSS_SELECTOR, "summary").click()
    for name, value in (("temperature", "0"), ("max_tokens", "9")):
        field = browser.find_element(By.ID, name)
        field.clear()
        field.send_keys(value)
    browser.find_element(By.ID, "text").click()
    assert say(browser, "the wall") == expected(server, "the wall", 9)
    assert browser.find_element(By.CSS_SELECTOR, ".turn.person").text == "the wall"
    assert "no room for more" in browser.find_element(By.CSS_SELECTOR, ".turn.model").text
    look(browser, "light")
    colours = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": colours})
    look(browser, "dark")
    browser.set_window_size(360, 640)
    look(browser, "narrow")
    width = browser.execute_script("return document.documentElement.scrollWidth")
    assert width <= browser.execute_script("return window.innerWidth")
    browser.find_element(By.ID, "new").click()
    assert not browser.find_elements(By.CSS_SELECTOR, ".turn")


def test_what_the_server_refuses_is_said_on_the_page(
    server: Server, browser: webdriver.Chrome
) -> None:
    """An error is one sentence in its place, and the talk can go on."""
    opened(browser, server)
    assert say(browser, "x" * 70) == ""
    problem = browser.find_element(By.CSS_SELECTOR, ".problem")
    assert "The prompt has" in problem.text
    assert problem.get_attribute("role") == "alert"
    say(browser, "a")
    assert len(browser.find_elements(By.CSS_SELECTOR, ".problem")) == 1


def test_the_page_is_all_there_is_to_load(server: Server, browser: webdriver.Chrome) -> None:
    """No request goes anywhere but to the server, and the browser has nothing to complain of."""
    opened(browser, server)
    say(browser, "the")
    loaded = browser.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert loaded
    assert all(url.startswith(server.url) for url in loaded)
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def test_everything_has_a_name(server: Server, browser: webdriver.Chrome) -> None:
    """What can be operated is named for those who do not see it."""
    opened(browser, server)
    browser.find_element(By.CSS_SELECTOR, "summary").click()
    for element in browser.find_elements(By.CSS_SELECTOR, "button, input, textarea, [role=log]"):
        if element.is_displayed():
            assert element.accessible_name, element.get_attribute("outerHTML")


def test_escape_stops_an_answer(tmp_path: Path, browser: webdriver.Chrome) -> None:
    """What was written stays, the server has its place back, and the talk goes on."""
    with serving(tmp_path, slow=True) as server:
        opened(browser, server)
        browser.switch_to.active_element.send_keys(
            "tell", Keys.ENTER
        )  # six tokens: it thinks for long
        WebDriverWait(browser, 60).until(
            lambda driver: "aa" in driver.find_element(By.CSS_SELECTOR, ".turn.model").text
        )
        browser.switch_to.active_element.send_keys(Keys.ESCAPE)
        assert server.settles("llmpath_active_requests", 0)
        assert server.metric('llmpath_requests_total{endpoint="chat",status="gone"}') == 1
        assert "(stopped)" in browser.find_element(By.CSS_SELECTOR, ".turn.model").text
        assert set(say(browser, "again")) == {"a"}
