"""SIGKILL of every process at random points while agents call tools: nothing acknowledged is lost, nothing goes unrecorded.

The random points come from a seed that is printed; HANSE_TEST_SEED=n runs the same order and pauses again.
"""

import json
import logging
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from celery import Celery

from portal.celery import celery_settings
from tests.gateway.estate import add_delegation, add_server, add_tool
from tests.gateway.servers import Upstream
from tests.kill.installation import PROCESSES, Asking, Installation, wait_for
from tests.kill.witness import Arrival, Caller, Keeper, Receiver, Said

pytestmark = [pytest.mark.kill, pytest.mark.slow]

log = logging.getLogger(__name__)
SEED = int(os.environ.get("HANSE_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
VICTIMS = {
    "gateway": 20,
    "sequencer": 9,
    "stdio": 9,
    "worker": 6,
    "database": 4,  # every process of the server, as in a power cut
    "postmaster": 3,  # its first process only
    "backend": 3,  # one that serves a connection: the server recovers by itself
}
WRITES = ("books__write", "local__keep")


@dataclass
class Story:
    """What happened while processes were killed, and what the log says about it afterwards."""

    kills: Counter[str] = field(default_factory=Counter)
    said: list[Said] = field(default_factory=list)
    broken: Counter[str] = field(default_factory=Counter)
    arrivals: list[Arrival] = field(default_factory=list)
    checkpoints: list[Path] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    probes: list[tuple[int, int, int]] = field(default_factory=list)
    verified: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    local: Path = Path()
    started: dict[str, int] = field(default_factory=dict)

    def summary(self) -> str:
        return (
            f"seed {SEED}: {self.kills.total()} kills {dict(self.kills)} in {self.seconds:.0f} s, "
            f"{len(self.said)} answers, {self.broken.total()} broken off {dict(self.broken)}, "
            f"{len(self.arrivals)} arrivals, {len(self.events)} events, {len(self.checkpoints)} checkpoints kept, "
            f"starts {self.started}\n"
        )

    def of_kind(self, kind: str) -> dict[str, dict[str, Any]]:
        return {event["call"]: event for event in self.events if event["kind"] == kind}

    def intents_by_text(self) -> dict[str, dict[str, Any]]:
        return {json.loads(event["body"])["text"]: event for event in self.of_kind("intent").values()}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    receiver = Receiver(SEED)
    with Upstream(answer=receiver) as upstream, Installation(upstream.url) as installation:
        receiver.ask = Asking(installation.superuser)
        local = tmp_path_factory.mktemp("local") / "kept"
        delegation = add_local_server(installation, local)
        for name in PROCESSES:
            installation.start(name)
        wait_for(installation.ready, "the gateway does not become ready")
        told = Story(local=local)
        sys.stdout.write(f"seed {SEED}\n")  # first, so that a failure in the middle can be run again
        began = time.monotonic()
        run(installation, told, delegation, tmp_path_factory.mktemp("outside"))
        told.seconds = time.monotonic() - began
        told.arrivals = [*receiver.arrivals, *read_local(local)]
        told.started = dict(installation.started)
        conclude(installation, told)
        sys.stdout.write(told.summary())
        receiver.ask.close()
        yield told


def add_local_server(installation: Installation, kept: Path) -> str:
    """Returns a delegation for the estate's server and for one that the stdio runner starts."""
    with psycopg.connect(installation.superuser) as connection:
        server = add_server(connection, installation.estate, "local", "team", "", transport="stdio")
        command = [sys.executable, "-S", str(Path(__file__).with_name("stdio_witness.py")), str(kept)]
        connection.execute("UPDATE registry_server SET command = %s WHERE id = %s", (command, server))
        add_tool(connection, installation.estate, "local", "keep", 1)
        return add_delegation(connection, installation.estate, tool_groups=["books", "local"])[1]


def read_local(kept: Path) -> list[Arrival]:
    lines = kept.read_text().splitlines()
    return [Arrival(text, "keep", float(at)) for at, text in (line.split(" ") for line in lines)]


def run(installation: Installation, story: Story, delegation: str, outside: Path) -> None:
    """Kills while clients call, then lets everything come to rest."""
    stop = threading.Event()
    token = installation.tokens.mint(dlg=delegation)
    tools = ["books__write"] * 5 + ["books__echo"] * 3 + ["local__keep"] * 3 + ["books__destroy"]
    callers = [Caller(f"c{n}", installation.gateway_url, "/mcp/ledger", token, tools, SEED) for n in range(4)]
    keeper = Keeper(Asking(installation.superuser), outside)
    threads = [threading.Thread(target=each.run, args=(stop,)) for each in (*callers, keeper)]
    for thread in threads:
        thread.start()
    try:
        kill_all(installation, story)
        settle(installation, callers)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    keeper.ask.close()
    story.checkpoints = list(keeper.kept.values())
    for caller in callers:
        story.said += caller.said
        story.broken += caller.broken


def kill_all(installation: Installation, story: Story) -> None:
    """Kills in a random order, after random pauses; most of the time the gateway is up, sometimes it just starts."""
    chance = random.Random(SEED)
    order = [name for name, times in VICTIMS.items() for _ in range(times)]
    chance.shuffle(order)
    tasks = Celery("tests", set_as_current=False)
    tasks.config_from_object(celery_settings(installation.config))
    for victim in order:
        revive(installation)
        if chance.random() < 0.85:
            wait_for(installation.ready, "the gateway does not come back")
        if chance.random() < 0.5:
            look_at_books(installation, tasks)
        time.sleep(chance.random() * 0.5)
        strike(installation, victim, chance)
        story.kills[victim] += 1
    tasks.close()


def revive(installation: Installation) -> None:
    """Starts again whatever does not run; a process may also have ended by itself because another one did."""
    assert installation.server is not None
    if installation.server.poll() is not None:
        installation.start_database()
    for name in PROCESSES:
        if installation.running[name].poll() is not None:
            installation.start(name)


def look_at_books(installation: Installation, tasks: Celery) -> None:
    """Gives the worker something to do that changes the registry and writes to the log."""
    try:
        tasks.send_task("registry.probe_server", [installation.estate.ids["server:books"]])
    except Exception as error:  # noqa: BLE001 - the queue is in the database, which may just be recovering
        log.info("not queued: %s", type(error).__name__)


def strike(installation: Installation, victim: str, chance: random.Random) -> None:
    if victim == "database":
        installation.kill_database()
    elif victim == "postmaster":
        installation.kill_postmaster()
    elif victim == "backend":
        installation.kill_backend(chance)
    else:
        installation.kill(victim)


def settle(installation: Installation, callers: list[Caller]) -> None:
    """Returns when every kind of call works again: after the last kill nobody needs to repair anything."""
    revive(installation)
    for tool in (*WRITES, "books__echo"):
        before = {id(caller): len(caller.said) for caller in callers}

        def works(tool: str = tool, before: dict[int, int] = before) -> bool:
            return any(
                said.is_acknowledged and said.tool == tool
                for caller in callers
                for said in caller.said[before[id(caller)] :]
            )

        wait_for(works, f"{tool} does not work any more")


def conclude(installation: Installation, story: Story) -> None:
    """Stops everything in order, places what waits, closes what never ended, and reads the log."""
    for name in PROCESSES:
        installation.stop(name)
    installation.manage("sequencer", "--once", "--minutes", "0", role="audit")
    query = """
        SELECT e.kind, e.call::text, e.object, e.result, p.body, l.index,
               extract(epoch FROM pg_xact_commit_timestamp(e.xmin))::float8 AS committed
          FROM audit_event e LEFT JOIN audit_payload p ON p.event = e.uid LEFT JOIN audit_leaf l ON l.event_id = e.id
         ORDER BY e.id
    """
    with psycopg.connect(installation.superuser, autocommit=True) as connection:
        cursor = connection.execute(query)
        names = [column.name for column in cursor.description or ()]
        story.events = [dict(zip(names, row, strict=True)) for row in cursor]
        story.probes = connection.execute("SELECT added, changed, missing FROM registry_probe").fetchall()
    outside = [word for path in story.checkpoints for word in ("--checkpoint", str(path))]
    done = installation.manage("audit", "verify", "--json", *outside, check=False)
    story.verified = json.loads(done.stdout)


def enough_was_killed_while_enough_went_on(story: Story) -> None:
    assert story.kills == VICTIMS
    assert story.kills.total() >= 50
    acknowledged = Counter(said.tool for said in story.said if said.is_acknowledged)
    assert acknowledged["books__write"] > 100
    assert acknowledged["books__echo"] > 50
    assert acknowledged["local__keep"] > 20
    assert sum(story.broken.values()) >= 5, "no call was under way when the gateway died"
    assert len(story.checkpoints) > 10


def no_process_ended_because_another_was_killed(story: Story) -> None:
    assert story.started == {name: VICTIMS[name] + 1 for name in PROCESSES}


def no_acknowledged_call_is_lost(story: Story) -> None:
    intents, outcomes = story.of_kind("intent"), story.of_kind("outcome")
    lost = []
    for said in story.said:
        if said.is_acknowledged:
            intent, outcome = intents.get(said.call), outcomes.get(said.call)
            if intent is None or outcome is None or json.loads(intent["body"]) != {"text": said.text}:
                lost.append(said)
    assert lost == []


def no_answer_about_a_failure_or_a_refusal_is_lost(story: Story) -> None:
    told = [said for said in story.said if said.call and not said.is_acknowledged]
    assert any(said.code == "tool_unknown" for said in told)
    denied, outcomes = story.of_kind("denied"), story.of_kind("outcome")
    assert [said for said in told if said.call not in (denied if said.status == 400 else outcomes)] == []


def every_byte_that_can_change_things_has_an_intent_from_before_it_left(story: Story) -> None:
    intents = story.intents_by_text()
    writes = [arrival for arrival in story.arrivals if arrival.tool in {"write", "keep"}]
    assert len(writes) > 150
    assert [arrival for arrival in writes if arrival.text not in intents] == []
    assert [arrival for arrival in writes if arrival.known is False] == []
    assert [arrival for arrival in writes if not intents[arrival.text]["committed"] <= arrival.at] == []
    assert sum(arrival.known is True for arrival in writes) > 80


def nothing_arrives_twice(story: Story) -> None:
    """A call whose fate is unknown is never made again by itself."""
    assert [text for text, times in Counter(arrival.text for arrival in story.arrivals).items() if times > 1] == []


def a_read_without_an_intent_was_never_answered(story: Story) -> None:
    """The intent of a read becomes durable while the call runs, so a kill in between leaves none, and no result either."""
    intents = story.intents_by_text()
    unrecorded = {arrival.text for arrival in story.arrivals if arrival.text not in intents}
    answered = {said.text for said in story.said if said.is_acknowledged}
    assert unrecorded & answered == set()
    assert len(unrecorded) <= story.kills.total() * 4  # at most what four callers had under way at each kill


def every_intent_has_one_end_and_the_sweeper_says_unknown(story: Story) -> None:
    intents, outcomes, unknown = (story.of_kind(kind) for kind in ("intent", "outcome", "unknown"))
    assert unknown, "every call ended well, so the sweeper was not tried"
    assert intents.keys() == outcomes.keys() | unknown.keys()
    assert outcomes.keys() & unknown.keys() == set()
    assert {event["result"] for event in unknown.values()} == {"unknown"}
    ends = Counter(event["call"] for event in story.events if event["kind"] in {"outcome", "unknown"})
    assert max(ends.values()) == 1


def every_event_has_its_place_and_the_logs_verify_against_what_was_kept_outside(story: Story) -> None:
    assert [event for event in story.events if event["index"] is None] == []
    assert [report["findings"] for report in story.verified if not report["ok"]] == []
    assert sum(report["size"] for report in story.verified) == len(story.events)


def what_a_killed_worker_wrote_is_whole(story: Story) -> None:
    """A probe that found something and the record of it are there together or not at all."""
    found = [counts for counts in story.probes if any(counts)]
    assert found, "the worker did nothing"
    recorded = [json.loads(event["body"]) for event in story.events if event["kind"] == "change"]
    assert sorted(recorded, key=str) == sorted(
        ({"added": added, "changed": changed, "missing": missing} for added, changed, missing in found), key=str
    )


def nothing_of_a_killed_installation_runs_on(story: Story) -> None:
    """The runner's guardians end their servers also when the runner itself could not."""
    marked = [process for process in psutil.process_iter(["cmdline"]) if is_witness(process, story.local)]
    wait_for(lambda: not any(process.is_running() for process in marked), "a local server outlived its runner", 20)


def is_witness(process: psutil.Process, kept: Path) -> bool:
    return str(kept) in (process.info["cmdline"] or ())


CHECKS = (
    enough_was_killed_while_enough_went_on,
    no_process_ended_because_another_was_killed,
    no_acknowledged_call_is_lost,
    no_answer_about_a_failure_or_a_refusal_is_lost,
    every_byte_that_can_change_things_has_an_intent_from_before_it_left,
    nothing_arrives_twice,
    a_read_without_an_intent_was_never_answered,
    every_intent_has_one_end_and_the_sweeper_says_unknown,
    every_event_has_its_place_and_the_logs_verify_against_what_was_kept_outside,
    what_a_killed_worker_wrote_is_whole,
    nothing_of_a_killed_installation_runs_on,
)


def test_what_was_acknowledged_and_what_left_the_house_stands_in_the_log(story, subtests):
    """One test, so that the kills happen once however many processes run the tests."""
    for check in CHECKS:
        with subtests.test(check.__name__):
            check(story)
