"""A browser without a screen, for tests that look at what the portal sends."""

import http.cookiejar
import json
import re
import urllib.error
import urllib.parse
import urllib.request


class Browser:
    """Follows links and fills forms over plain HTTP, with cookies."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.jar = http.cookiejar.CookieJar()
        cookies = urllib.request.HTTPCookieProcessor(self.jar)
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies)

    def open(self, path: str, **fields: str) -> tuple[str, str]:
        """Returns the address that it ended at and the text of the page."""
        data = urllib.parse.urlencode(fields).encode() if fields else None
        headers = {"Referer": self.base + path, "Origin": self.base}
        request = urllib.request.Request(self.base + path, data=data, headers=headers)
        with self._opener.open(request, timeout=30) as response:
            return response.url, response.read().decode()

    def read(self, path: str) -> tuple[int, str]:
        """Returns status and text, whatever they are, with the headers before them."""
        try:
            with self._opener.open(self.base + path, timeout=30) as response:
                return response.status, f"{response.headers}\n{response.read().decode('utf-8', 'replace')}"
        except urllib.error.HTTPError as error:
            return error.code, f"{error.headers}\n{error.read().decode('utf-8', 'replace')}"

    def submit(self, path: str, action: str, page: str, **fields: str) -> tuple[str, str]:
        """Sends one of a page's forms, with the token that the page brought."""
        token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[0]
        return self.open(path + action, csrfmiddlewaretoken=token, **fields)

    def post_json(self, path: str, body: object) -> tuple[int, str]:
        """Returns status and text of a change through the REST API, made with the session."""
        token = next(cookie.value for cookie in self.jar if "csrf" in cookie.name)
        headers = {"Content-Type": "application/json", "X-CSRFToken": token or "", "Referer": self.base + path}
        request = urllib.request.Request(self.base + path, json.dumps(body).encode(), {**headers, "Origin": self.base})
        try:
            with self._opener.open(request, timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def sign_in(self, login: str, password: str) -> tuple[str, str]:
        _, page = self.open("/accounts/login/")
        (token,) = set(re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page))
        return self.open("/accounts/login/", csrfmiddlewaretoken=token, login=login, password=password)
