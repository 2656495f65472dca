"""A worker that is killed in the middle of an import: no document is lost, none is there twice."""

import random
import subprocess
import sys

import psycopg
import pytest

from tests.kill.installation import ROOT, Installation, wait_for

pytestmark = [pytest.mark.kill, pytest.mark.timeout(900)]

DOCUMENTS = 60
BEGIN = f"""
from registry.context.entries import Entry
from registry.context.services.imports import begin_import
from registry.context.services.sources import add_source
from kernel import clock
from tenants.principals import SYSTEM
from tenants.queries import tenants
from tenants.scope import ALL, tenant_scope
with tenant_scope(ALL):
    owner = tenants(SYSTEM).filter(tier="team").first()
    source = add_source(actor=SYSTEM, owner=owner, slug="killed", name="Killed")
    text = "# Document {{n}}\\n\\n" + "\\n\\n".join(f"## Part {{k}}\\n\\n" + f"word{{k}} " * 60 for k in range(5))
    entries = [Entry(path=f"{{n}}.md", content=text.replace("{{n}}", str(n)).encode(), changed_at=clock.now()) for n in range({DOCUMENTS})]
    begin_import(actor=SYSTEM, source=source, entries=entries)
"""
WORK = """
from datetime import timedelta
from registry.context import working
working.LEASE = timedelta(milliseconds=300)
while True:
    for row in working.waiting_imports():
        working.work_on(row, seconds=60)
"""


@pytest.fixture(scope="module")
def house():
    with Installation("http://127.0.0.1:9/mcp") as house:
        yield house


def ask(house, statement):
    with psycopg.connect(house.superuser) as connection:
        return connection.execute(statement).fetchone()[0]


def work(house):
    return subprocess.Popen(
        [sys.executable, str(ROOT / "manage.py"), "shell", "-v", "0", "-c", WORK],
        env=house.environment("app"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_killed_workers_lose_nothing_and_double_nothing(house):
    chance = random.Random(4)
    house.manage("shell", "-v", "0", "-c", BEGIN)
    done = "SELECT count(*) FROM registry_importitem WHERE state = 'done'"
    workers = []
    try:
        killed = 0
        while (before := ask(house, done)) < DOCUMENTS - 10:
            workers = [work(house), work(house)]
            goal = before + chance.randint(4, 14)
            wait_for(lambda goal=goal: ask(house, done) >= goal, "nothing is read", 240)
            for worker in workers:
                worker.kill()
                worker.wait()
            killed += 1
        assert killed >= 3
        workers = [work(house)]
        wait_for(
            lambda: ask(house, "SELECT count(*) FROM registry_import WHERE state = 'done'"), "it does not end", 240
        )
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert ask(house, done) == DOCUMENTS
    assert ask(house, "SELECT count(*) FROM registry_document") == DOCUMENTS
    assert ask(house, "SELECT count(DISTINCT path) FROM registry_document") == DOCUMENTS
    each = "SELECT count(*) FROM (SELECT document_id FROM registry_chunk GROUP BY document_id HAVING count(*) = {}) d"
    chunks = ask(house, "SELECT count(*) FROM registry_chunk")
    assert ask(house, each.format(chunks // DOCUMENTS)) == DOCUMENTS
    assert ask(house, "SELECT count(*) FROM registry_importitem WHERE content IS NOT NULL") == 0
    assert ask(house, "SELECT count(*) FROM audit_event WHERE verb = 'registry.import.ended'") == 1
