"""Takes the pictures of README and docs from a running demo estate: `python docs/screenshot.py [--calls]`.

Finds the installation as every command does, by HANSE_DATA and HANSE_PORT. Needs the development packages and the
system's Chromium. With `--calls` it first makes governed calls, so that there is something to see.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, StorageState, sync_playwright

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from portal.config import Config, load  # noqa: E402 - the path is set above

IMAGES: Final = ROOT / "docs" / "images"
MAX_BYTES: Final = 200_000
WIDTH, HEIGHT = 1280, 760
QUIET: Final = ("no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking", "disable-dev-shm-usage")
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAGES: Final = {"home": "/", "catalog": "/catalog/", "server": "/servers/pipeline/", "audit": "/audit/"}

# Team, person, agent, tool, arguments. A reader that deploys and a builder that rolls back are refused.
CALLS: Final = (
    ("checkout", "jonas", "release-pilot", "pipeline__list_deployments", {"service": "checkout-api"}),
    ("checkout", "jonas", "release-pilot", "clock__get_current_time", {"timezone": "Europe/Helsinki"}),
    (
        "checkout",
        "jonas",
        "release-pilot",
        "pipeline__deploy",
        {"service": "checkout-api", "environment": "staging", "version": "1.1.0", "note": "reviewed"},
    ),
    ("checkout", "aisha", "basket-scout", "pipeline__list_deployments", {"environment": "production"}),
    (
        "checkout",
        "aisha",
        "basket-scout",
        "pipeline__deploy",
        {"service": "checkout-api", "environment": "production", "version": "1.1.0"},
    ),
    ("accounts", "nadia", "book-keeper", "ledger__balances", {}),
    ("storefront", "tom", "shop-fitter", "handbook__git_status", {}),
    (
        "checkout",
        "jonas",
        "release-pilot",
        "pipeline__roll_back",
        {"service": "checkout-api", "environment": "staging"},
    ),
)


def main() -> int:
    """Writes one light and one dark picture of each page. Returns 1 when one is too large for a README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--person", default="jonas", help="handle of who looks (default jonas, a team lead)")
    parser.add_argument("--calls", action="store_true", help="make a few governed calls first")
    chosen = parser.parse_args()
    config = load(os.environ)
    if chosen.calls:
        make_calls()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=[f"--{word}" for word in QUIET])
        written = take_all(browser, config, f"{chosen.person}@nordhafen.example")
        browser.close()
    too_large = [path.name for path in written if path.stat().st_size > MAX_BYTES]
    if too_large:
        sys.stderr.write(f"larger than {MAX_BYTES} bytes: {', '.join(too_large)}\n")
    return 1 if too_large else 0


def make_calls() -> None:
    """Calls tools as the agents of the estate would; a refusal is part of the picture, so exit codes do not matter."""
    for team, person, agent, tool, arguments in CALLS:
        who = ["--team", team, "--person", person, "--agent", agent]
        subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "call", *who, tool, json.dumps(arguments)],
            check=False,
            stdout=subprocess.DEVNULL,
        )


def find_browser() -> str:
    """Returns the system's Chromium, the browser that the tests use too."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        sys.exit("no Chromium on this machine")
    return found


def take_all(browser: Browser, config: Config, email: str) -> list[Path]:
    """Returns the files that were written."""
    state = sign_in(browser, config, email)
    written = []
    for theme in ("light", "dark"):
        context = browser.new_context(
            color_scheme="light" if theme == "light" else "dark",
            viewport={"width": WIDTH, "height": HEIGHT},
            storage_state=state,
        )
        page = context.new_page()
        written += [take(page, config.url + address, f"{name}-{theme}.png") for name, address in PAGES.items()]
        context.close()
    return written


def sign_in(browser: Browser, config: Config, email: str) -> StorageState:
    """Returns the cookies of somebody who signed in with the demo estate's password."""
    text = (config.data / "demo-passwords.txt").read_text(encoding="utf-8")
    found = re.search(r"password (\S+)", text)
    if found is None:
        sys.exit("this installation has no demo estate")
    context = browser.new_context()
    page = context.new_page()
    page.goto(config.url + "/")
    page.fill("input[name=login]", email)
    page.fill("input[name=password]", found[1])
    page.press("input[name=password]", "Enter")
    page.wait_for_url(config.url + "/")
    state = context.storage_state()
    context.close()
    return state


def take(page: Page, address: str, name: str) -> Path:
    """Returns the file with the picture of one page, which must have been answered well."""
    answer = page.goto(address)
    if answer is None or not answer.ok:
        sys.exit(f"{address} did not answer well")
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / name
    page.screenshot(path=path)
    return path


if __name__ == "__main__":
    sys.exit(main())
