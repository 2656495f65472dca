"""A browser without a screen: follows links, fills the forms of pages, and counts what a person would have done."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urljoin

import httpx2

_SECONDS: Final = 30


@dataclass(slots=True)
class Form:
    """One form of a page: where it goes, and what stands in it as the page came."""

    action: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: dict[str, str] = field(default_factory=dict)


class _Reader(HTMLParser):
    """Collects the forms of a page. Of a list it takes what is selected, of boxes what is ticked."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open = False
        self._area = ""
        self._list: tuple[str, list[tuple[str, bool]]] | None = None
        self._button: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens what the tag opens."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given.get("action", "")))
            self._open = True
        elif not self._open:
            return
        elif tag == "input" and given.get("name"):
            self._take_input(given)
        elif tag == "textarea":
            self._area, self._text = given.get("name", ""), ""
        elif tag == "select":
            self._list = (given.get("name", ""), [])
        elif tag == "option" and self._list is not None:
            self._list[1].append((given.get("value", ""), "selected" in given))
        elif tag == "button":
            self._button, self._text = given.get("formaction", ""), ""

    def handle_endtag(self, tag: str) -> None:
        """Closes what the tag closes."""
        if tag == "form":
            self._open = False
        elif tag == "textarea" and self._area:
            self.forms[-1].fields.append((self._area, self._text.removeprefix("\n")))
            self._area = ""
        elif tag == "select" and self._list is not None:
            name, options = self._list
            chosen = [value for value, selected in options if selected] or [value for value, _ in options[:1]]
            self.forms[-1].fields += [(name, value) for value in chosen]
            self._list = None
        elif tag == "button" and self._button is not None:
            self.forms[-1].buttons[" ".join(self._text.split())] = self._button
            self._button = None

    def handle_data(self, data: str) -> None:
        """Keeps the text of areas and buttons."""
        self._text += data

    def _take_input(self, given: dict[str, str]) -> None:
        is_box = given.get("type") in {"checkbox", "radio"}
        if not is_box or "checked" in given:
            self.forms[-1].fields.append((given["name"], given.get("value", "on" if is_box else "")))


class Visitor:
    """A person with cookies of their own. `interactions` counts fields filled, links followed and buttons pressed."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.url = base
        self.text = ""
        self.interactions = 0
        self._client = httpx2.Client(follow_redirects=True, timeout=_SECONDS, trust_env=False)

    def open(self, url: str) -> None:
        """Opens a page. Raises when it is not served."""
        self._arrive(self._client.get(urljoin(self.base, url)))

    def press(self, button: str, /, **fields: str) -> None:
        """Fills fields of the form that has this button, presses it, and is where that leads."""
        form = next(form for form in self._forms() if button in form.buttons)
        self.interactions += len(fields) + 1
        kept = [(name, value) for name, value in form.fields if name not in fields]
        self._send(form.buttons[button] or form.action, [*kept, *fields.items()])

    def send(self, action: str) -> None:
        """Sends the form with this action, as a page sends it by itself when it is there."""
        form = next(form for form in self._forms() if form.action.endswith(action))
        self._send(form.action, form.fields)

    def _forms(self) -> list[Form]:
        reader = _Reader()
        reader.feed(self.text)
        return reader.forms

    def _send(self, target: str, fields: list[tuple[str, str]]) -> None:
        data: dict[str, list[str]] = {}
        for name, value in fields:
            data.setdefault(name, []).append(value)
        headers = {"Referer": self.url, "Origin": self.base}
        self._arrive(self._client.post(urljoin(self.url, target), data=data, headers=headers))

    def _arrive(self, answer: httpx2.Response) -> None:
        if answer.is_error:
            raise RuntimeError(f"{answer.url}: HTTP {answer.status_code} {answer.text[:300]}")
        self.url, self.text = str(answer.url), answer.text
