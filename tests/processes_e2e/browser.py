"""A browser without a screen, for tests that look at what the portal sends."""

import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request


class Browser:
    """Follows links and fills forms over plain HTTP, with cookies."""

    def __init__(self, base: str) -> None:
        self.base = base
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), jar)

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

    def sign_in(self, login: str, password: str) -> tuple[str, str]:
        _, page = self.open("/accounts/login/")
        (token,) = set(re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page))
        return self.open("/accounts/login/", csrfmiddlewaretoken=token, login=login, password=password)
