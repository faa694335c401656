"""Pages in a real browser: Debian's chromium through playwright. Without them a test is skipped, with a reason."""

import importlib
import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
HOW = "tools/setup.sh says how to get it"


@pytest.fixture(scope="session")
def chromium():
    """A headless browser."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip(f"no playwright in this environment; {HOW}")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no chromium on the path; {HOW}")
    with importlib.import_module("playwright.sync_api").sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser, path, width: int = 1440, scheme: str = "light", address: str = "") -> Iterator:
    """A page from the disk. At its end it has to have said nothing to the console and asked nothing of a network."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{path.as_uri()}{address}")
    yield page
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


def serious_faults(page) -> list[str]:
    """What axe-core calls serious or critical, as rule and first element."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found if one["impact"] in ("serious", "critical")
    ]
