"""The house as a new user meets it: started, signed in to, called through, verified, stopped and started again."""

import html
import json
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import psutil
import pytest

from tests.processes.running import ROOT, Up, environment
from tests.processes_e2e.browser import Browser

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

TOOL = "pipeline__list_deployments"


class House:
    """An installation in a temporary directory and its commands."""

    def __init__(self, data: Path) -> None:
        self.up = Up(data)
        self.data = data
        self.base = f"http://localhost:{self.up.port}"
        self.people: dict[str, str] = {}
        self.calls: list[str] = []

    def manage(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), *words],
            env=environment(HANSE_DATA=str(self.data), HANSE_PORT=str(self.up.port)),
            cwd=self.data,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    @property
    def who(self) -> list[str]:
        return [word for name, value in self.people.items() for word in (f"--{name}", value)]

    def printed(self, pattern: str) -> str:
        return re.search(pattern, "\n".join(self.up.lines))[1]


@pytest.fixture(scope="module")
def house():
    with tempfile.TemporaryDirectory(prefix="hanse house ", ignore_cleanup_errors=True) as place:
        Path(place).chmod(0o755)
        house = House(Path(place) / "data")
        with house.up:
            house.up.wait_ready()
            yield house


def sign_in_with_what_was_printed(house: House) -> None:
    password = house.printed(r"Sign in with the password (\S+) as")
    email = house.printed(r"(\S+@\S+)\s+platform admin")
    where, page = Browser(house.base).sign_in(email, password)
    assert urllib.parse.urlsplit(where).path == "/"
    assert "Mara Lindqvist" in html.unescape(page)
    where, _ = Browser(house.base).sign_in(email, password + "x")
    assert urllib.parse.urlsplit(where).path == "/accounts/login/"


def nobody_comes_in_without_signing_in(house: House) -> None:
    where, _ = Browser(house.base).open("/audit/")
    assert urllib.parse.urlsplit(where).path == "/accounts/login/"


def the_demo_names_who_can_call(house: House) -> None:
    house.people = json.loads(house.manage("demo_identities", "--json").stdout)
    assert set(house.people) == {"team", "person", "agent"}


def a_call_is_made_and_shows_its_record(house: House) -> None:
    document = json.loads(house.manage("call", *house.who, TOOL, '{"limit": 2}').stdout)
    assert len(json.loads(document["result"]["content"][0]["text"])) == 2
    records = document["audit"]
    assert [record["decision"] for record in records if record["decision"]] == ["allow"]
    assert all(record["person"] and record["agent"] and record["delegation"] for record in records)
    assert {record["call"] for record in records} == {records[0]["call"]}
    house.calls.append(records[0]["uid"])


def a_local_server_answers_too(house: House) -> None:
    document = json.loads(house.manage("call", *house.who, "clock__get_current_time", '{"timezone": "UTC"}').stdout)
    assert "UTC" in document["result"]["content"][0]["text"]


def a_refused_call_ends_with_1_and_stands_in_the_log(house: House) -> None:
    done = house.manage("call", *house.who, "ledger__post_entry", check=False)
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["result"]["data"]["code"] == "tool_unknown"
    assert [record["decision"] for record in document["audit"]] == ["deny"]
    assert document["audit"][0]["reasons"]


def a_token_is_printed_alone_and_opens_its_team_only(house: House) -> None:
    done = house.manage("agent_token", *house.who, "--minutes", "5")
    token = done.stdout.strip()
    assert done.stdout == token + "\n"
    assert token.count(".") == 2
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    answers = {team: post(house, f"/mcp/{team}", token, body) for team in (house.people["team"], "storefront")}
    assert answers["storefront"][0] == 401
    status, document = answers[house.people["team"]]
    assert status == 200
    assert TOOL in {tool["name"] for tool in document["result"]["tools"]}


def post(house: House, path: str, token: str, body: object) -> tuple[int, dict]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(house.base + path, json.dumps(body).encode(), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def an_unknown_agent_is_one_line_and_2(house: House) -> None:
    done = house.manage("agent_token", "--team", "checkout", "--person", "jonas", "--agent", "nobody", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("hanse: ")


def what_the_readme_says_works(house: House) -> None:
    """The very blocks of the README, in their order, with the paths and the port of this installation."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## The first governed call")[2].partition("\n## ")[0]
    blocks = re.findall(r"```(sh|python)\n(.*?)```", section, re.DOTALL)
    script = "\n".join(_as_written(house, kind, block) for kind, block in blocks)
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment(HANSE_DATA=str(house.data), HANSE_PORT=str(house.up.port), NO_PROXY="*", no_proxy="*"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count('"decision": "allow"') == 1, said
    assert said.count("Unknown tool: pipeline__roll_back") == 1, said
    has_curl = shutil.which("curl") is not None
    assert len(re.findall(r'"jsonrpc": ?"2.0", ?"id": ?[12], ?"result"', said)) == (2 if has_curl else 0), said
    assert "['clock__" in said, said
    assert re.search(r"^ok +\d+ entries", said, re.MULTILINE), said
    assert "holds: entry" in said, said


def _as_written(house: House, kind: str, block: str) -> str:
    changes = {
        "./manage.py": f"{shlex.quote(sys.executable)} ./manage.py",
        "http://localhost:8000": house.base,
        "UID": house.calls[0],
        "call.proof": shlex.quote(str(house.data / "call.proof")),
        "var/public": shlex.quote(str(house.data / "public")),
    }
    for old, new in changes.items():
        block = block.replace(old, new)
    if kind == "python":
        return f"{shlex.quote(sys.executable)} - <<'EOF'\n{block}\nEOF\n"
    return block


def the_log_verifies_and_a_record_proves_itself_offline(house: House) -> None:
    # The sequencer takes a moment; until then a record has no place, and asking says so.
    until = time.monotonic() + 30
    while (done := house.manage("audit", "proof", house.calls[-1], "--json", check=False)).returncode:
        assert time.monotonic() < until, done.stderr
        time.sleep(0.2)
    proof = house.data / "proof.json"
    proof.write_text(done.stdout)
    key = house.data / "public" / "audit.vkey"
    verified = json.loads(house.manage("audit", "verify", "--json").stdout)
    assert all(report["ok"] for report in verified)
    assert sum(report["size"] for report in verified) > 50
    checked = offline("check-proof", str(proof), "--key", str(key), "--json")
    assert json.loads(checked.stdout)["leaf"]["uid"] == house.calls[-1]
    broken = json.loads(done.stdout)
    broken["proof"] = flip(broken["proof"])
    proof.write_text(json.dumps(broken))
    assert offline("check-proof", str(proof), "--key", str(key), check=False).returncode == 1


def flip(proof: str) -> str:
    """Returns the proof with one hash of its path changed by one character."""
    lines = proof.splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if len(line.strip()) == 44 and line.strip().endswith("="))
    first = "B" if lines[place][0] == "A" else "A"
    return "".join([*lines[:place], first + lines[place][1:], *lines[place + 1 :]])


def offline(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs `audit` where there is no installation at all."""
    with tempfile.TemporaryDirectory(prefix="hanse-none-") as nowhere:
        done = subprocess.run(
            [sys.executable, str(ROOT / "manage.py"), "audit", *words],
            env=environment(HANSE_DATA=str(Path(nowhere) / "data")),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def it_stops_within_ten_seconds_and_leaves_nothing(house: House) -> None:
    family = house.up.family()
    assert len(family) >= 6
    began = time.monotonic()
    assert house.up.stop() == 0
    assert time.monotonic() - began < 10 * slack()
    _, alive = psutil.wait_procs(family, timeout=1)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []
    with socket.socket() as port:
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port.bind(("127.0.0.1", house.up.port))


def slack() -> float:
    """A machine that does twice as much as it has processors for may take longer."""
    return max(1.0, psutil.getloadavg()[0] / (psutil.cpu_count() or 1))


def a_restart_keeps_everything(house: House) -> None:
    again = Up(house.data, port=house.up.port)
    printed, house.up = house.up.lines, again
    with again:
        again.wait_ready()
        assert not any("with the password" in line for line in again.lines)
        password = re.search(r"Sign in with the password (\S+) as", "\n".join(printed))[1]
        where, _ = Browser(house.base).sign_in("jonas@nordhafen.example", password)
        assert urllib.parse.urlsplit(where).path == "/"
        assert (
            json.loads(house.manage("audit", "proof", house.calls[0], "--json").stdout)["leaf"]["uid"] == house.calls[0]
        )
        a_call_is_made_and_shows_its_record(house)
        assert again.stop() == 0


STEPS = (
    sign_in_with_what_was_printed,
    nobody_comes_in_without_signing_in,
    the_demo_names_who_can_call,
    a_call_is_made_and_shows_its_record,
    a_local_server_answers_too,
    a_refused_call_ends_with_1_and_stands_in_the_log,
    a_token_is_printed_alone_and_opens_its_team_only,
    an_unknown_agent_is_one_line_and_2,
    the_log_verifies_and_a_record_proves_itself_offline,
    what_the_readme_says_works,
    it_stops_within_ten_seconds_and_leaves_nothing,
    a_restart_keeps_everything,
)


def test_the_house_from_first_start_to_second(house, subtests):
    """One test, so that the house starts once however many processes run the tests."""
    for step in STEPS:
        with subtests.test(step.__name__):
            step(house)
