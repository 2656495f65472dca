"""Each bench runs, in its tiny form, from its installation to its report. How fast is not a test's business."""

import json
import os
import re
import subprocess
import sys

import pytest

from portal.bench.figures import Figure, Report
from portal.cli.processes import MANAGE, ROOT

FIGURES = {
    "gateway": ["direct, 32 clients", "read tool, rate over direct", "write tool, added p50, 1 client"],
    "denied": ["above the ceiling, gateway CPU per call, 32 clients"],
    "listing": ["3 of 400, gateway CPU per call, 32 clients", "400 of 400, p50, 1 client"],
    "audit": ["durable and sequenced", "verification of the whole log"],
    "start": ["second `up` to ready", "gateway worker, memory (RSS)"],
    "context": ["Markdown documents read", "hybrid, a team's reach, p95"],
    "onboarding": ["start to first governed call, machine time", "interactions of both people"],
    "pages": ["queries of a list, at most", "p95 of a list, at most"],
    "catalog-blueprints": ["queries of a list, at most", "publishing, forks measured", "publishing, all of it"],
}


# One as a person runs it, from nothing; the others begin with a copy of an installation.
COMMANDS = {"audit": [str(MANAGE), "bench", "audit", "--quick", "--json"]}


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_a_bench_reports_what_it_promises(name):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HANSE_", "DJANGO_"))}
    command = [sys.executable, *COMMANDS.get(name, ["-m", "tests.bench.quick", name])]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    (report,) = json.loads(done.stdout)
    assert report["bench"] == name
    assert {"cpu", "cores", "python", "postgresql", "load", "flush_ms", "at"} <= set(report["machine"])
    figures = {figure["name"]: figure for figure in report["figures"]}
    assert set(FIGURES[name]) <= set(figures)
    assert all(
        figure["value"] > 0
        for named, figure in figures.items()
        if not re.search("added|wait|another team|by commit", named)
    )
    assert all(figure["verdict"] in {"", "met", "floor", "missed"} for figure in figures.values())


@pytest.mark.parametrize(
    ("value", "at_most", "verdict"),
    [(0.2, True, "met"), (0.3, True, "floor"), (0.41, True, "missed"), (0.2, False, "met"), (0.1, False, "missed")],
)
def test_a_verdict_says_on_which_side_of_the_target_a_figure_is(value, at_most, verdict):
    floor = 0.4 if at_most else None
    figure = Figure(name="f", value=value, unit="ms", target=0.2, floor=floor, at_most=at_most)
    assert figure.verdict == verdict
    assert figure.as_dict()["target"] == ("<= 0.20" if at_most else ">= 0.20")


def test_a_figure_without_a_target_has_no_verdict():
    report = Report(bench="b", machine={"cores": 2}, figures=[Figure(name="f", value=1, unit="MB")], notes=["n"])
    assert report.as_dict()["figures"][0]["verdict"] == ""
    assert "1.00 MB" in report.as_text()
    assert report.as_text().endswith("- n")
