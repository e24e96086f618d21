"""A real browser before the real desk: Debian's Chromium, the embedded AWS, and people who sign in."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from workflows.conftest import ROOT, Bulwark, policy_for_tests

from bulwark.local import cloud as embedded

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Without these a browser asks the network for much that is not the page's.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A name whose owner lets it point to this machine.
    "--host-resolver-rules=MAP evil.example 127.0.0.1",
]
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 400, "height": 860}
# Where to keep pictures of the desk; the documents' own are made anew with DESK_PICTURES=docs/desk.
PICTURES = os.environ.get("DESK_PICTURES")


def policy() -> dict:
    """The tests' policy, with the shipped use cases held as a desk would have them, and left to no chance."""
    document = policy_for_tests()
    document["confidence"]["doubtful"] = {"intercept": -0.4, "weights": {}}
    for name in ("general_question", "product_support", "policy_advice"):
        use_case = document["use_cases"][name]
        use_case |= {"confidence": "doubtful", "confidence_threshold": 0.8}
        use_case["review"] |= {"audit_share": 0, "blind_share": 0, "second_reviewer_share": 0}
        use_case["review"]["overload"]["confidence_floor"] = 0
    return document


@pytest.fixture(scope="package")
def stack() -> Iterator[Bulwark]:
    with embedded.start(ROOT / "template.yaml", stack_name="bulwark-desk", policy=policy(), schedules=False) as cloud:
        yield Bulwark(cloud)


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("chromium is not here; Debian has it as the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Tab:
    """A page of somebody's browser, which notes what it complains of and what it asks the network for."""

    def __init__(self, context: BrowserContext, bulwark: Bulwark, user: str) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self._bulwark, self._user = bulwark, user
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._on_dialog)
        self.page.on("request", lambda request: self.asked.append(request.url))

    def _on_console(self, message) -> None:
        # A refusal that the page handles is logged by the browser as well.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def _on_dialog(self, dialog) -> None:
        self.complaints.append(f"a dialog opened: {dialog.message}")
        dialog.dismiss()

    def sign_in(self, hash: str = "") -> Page:
        """Open the desk and sign in through the user pool's own page."""
        outputs = self._bulwark.outputs
        self.page.goto(f"{outputs['DeskUrl']}/{hash}")
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_label("Username").fill(outputs[f"{self._user}Username"])
        self.page.get_by_label("Password").fill(outputs[f"{self._user}Password"])
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("button", name="Sign out").wait_for()
        return self.page


@pytest.fixture
def open_tab(chromium: Browser, stack: Bulwark) -> Iterator[Callable[..., Tab]]:
    """Open a browser of one's own for a person: open_tab("Lead", size=NARROW, colours="dark")."""
    contexts: list[BrowserContext] = []

    def run(user: str = "Reviewer", size: dict = WIDE, colours: str = "light") -> Tab:
        context = chromium.new_context(viewport=size, color_scheme=colours, reduced_motion="reduce")
        # Who decided goes back to the queue, and does not take what another test has put there.
        context.add_init_script("sessionStorage.setItem('bulwark.stay', '1')")
        contexts.append(context)
        return Tab(context, stack, user)

    yield run
    for context in contexts:
        context.close()


@pytest.fixture
def bulwark(stack: Bulwark) -> Bulwark:
    return stack


def keep_picture(page: Page, name: str) -> None:
    if PICTURES:
        folder = Path(PICTURES)
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(folder / f"{name}.png"))
