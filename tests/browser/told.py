"""What a browser complains of, and what keeps people out."""

from dataclasses import dataclass, field

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page


@dataclass
class Told:
    """What the browser complained of. Tests that cause a complaint name it in ``expected``, an expression."""

    complaints: list[str] = field(default_factory=list)
    expected: str = "(?!)"

    def hear(self, said: ConsoleMessage) -> None:
        if said.type in {"error", "warning"}:
            self.complaints.append(said.text)


def serious(page: Page) -> list[str]:
    """Return what axe-core finds on a page that keeps people out."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html']} {node['failureSummary']}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]
