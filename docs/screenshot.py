"""Takes the pictures of README and docs from a running demo estate: `python docs/screenshot.py [--calls]`.

Finds the installation as every command does, by HANSE_DATA and HANSE_PORT. Needs the development packages and the
system's Chromium. With `--calls` it first makes governed calls, so that there is something to see.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import httpx2
from playwright.sync_api import Browser, Page, StorageState, sync_playwright

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from portal.config import Config, load  # noqa: E402 - the path is set above

IMAGES: Final = ROOT / "docs" / "images"
MAX_BYTES: Final = 200_000
WIDTH, HEIGHT = 1280, 720
QUIET: Final = ("no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking", "disable-dev-shm-usage")
BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAIL: Final = "nordhafen.example"

# Who looks at what.
PAGES: Final = {
    "home": ("jonas", "/"),
    "catalog": ("mara", "/catalog/"),
    "server": ("mara", "/servers/pipeline/"),
    "audit": ("jonas", "/audit/"),
}

Arguments = dict[str, str]
JONAS: Final = ("checkout", "jonas", "release-pilot")
AISHA: Final = ("checkout", "aisha", "basket-scout")
NADIA: Final = ("accounts", "nadia", "book-keeper")
TOM: Final = ("storefront", "tom", "shop-fitter")

# Two of these are refused: a reader that deploys, and a builder that rolls back.
CALLS: Final[tuple[tuple[tuple[str, str, str], str, Arguments], ...]] = (
    (JONAS, "clock__get_current_time", {"timezone": "Europe/Helsinki"}),
    (NADIA, "ledger__balances", {}),
    (TOM, "handbook__git_log", {"repo_path": "{handbook}"}),
    (JONAS, "pipeline__list_deployments", {"service": "checkout-api"}),
    (
        JONAS,
        "pipeline__deploy",
        {"service": "checkout-api", "environment": "staging", "version": "1.1.0", "note": "reviewed"},
    ),
    (AISHA, "pipeline__list_deployments", {"environment": "production"}),
    (AISHA, "pipeline__deploy", {"service": "checkout-api", "environment": "production", "version": "1.1.0"}),
    (NADIA, "ledger__list_entries", {}),
    (TOM, "pipeline__list_deployments", {"service": "storefront-web"}),
    (JONAS, "pipeline__roll_back", {"service": "checkout-api", "environment": "staging"}),
    (TOM, "pipeline__list_deployments", {"service": "storefront-web"}),
    (JONAS, "pipeline__list_deployments", {"service": "checkout-api"}),
)


def main() -> int:
    """Writes one light and one dark picture of each page. Returns 1 when one is too large for a README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", action="store_true", help="make a few governed calls first")
    chosen = parser.parse_args()
    config = load(os.environ)
    if chosen.calls:
        make_calls(config)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=[f"--{word}" for word in QUIET])
        written = take_all(browser, config)
        browser.close()
    too_large = [path.name for path in written if path.stat().st_size > MAX_BYTES]
    if too_large:
        sys.stderr.write(f"larger than {MAX_BYTES} bytes: {', '.join(too_large)}\n")
    return 1 if too_large else 0


def make_calls(config: Config) -> None:
    """Calls tools as the agents of the estate would, over HTTP. A refusal is part of the picture."""
    tokens = {who: mint(who) for who in {who for who, _, _ in CALLS}}
    handbook = str(config.data / "demo" / "handbook")
    for who, tool, arguments in CALLS:
        given = {name: value.replace("{handbook}", handbook) for name, value in arguments.items()}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": given}}
        headers = {"authorization": f"Bearer {tokens[who]}"}
        url = f"{config.gateway_url}/mcp/{who[0]}"
        httpx2.post(url, json=message, headers=headers, timeout=60, trust_env=False).raise_for_status()


def mint(who: tuple[str, str, str]) -> str:
    """Returns a token with which an agent acts for a person in a team."""
    words = [word for pair in zip(("--team", "--person", "--agent"), who, strict=True) for word in pair]
    command = [sys.executable, str(ROOT / "manage.py"), "agent_token", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def find_browser() -> str:
    """Returns the system's Chromium, the browser that the tests use too."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        sys.exit("no Chromium on this machine")
    return found


def take_all(browser: Browser, config: Config) -> list[Path]:
    """Returns the files that were written."""
    states = {who: sign_in(browser, config, f"{who}@{MAIL}") for who in {who for who, _ in PAGES.values()}}
    written = []
    for name, (who, address) in PAGES.items():
        for theme in ("light", "dark"):
            context = browser.new_context(
                color_scheme="light" if theme == "light" else "dark",
                viewport={"width": WIDTH, "height": HEIGHT},
                storage_state=states[who],
            )
            written.append(take(context.new_page(), config.url + address, f"{name}-{theme}.png"))
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
