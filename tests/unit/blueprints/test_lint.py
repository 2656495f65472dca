"""Every rule of the linter, broken once: the code, the place, and a remedy."""

import pytest

from blueprints.format.findings import Finding
from blueprints.linting import lint, lint_text
from tests.unit.blueprints.samples import FILES, node, sample

BROWN, GREEN, FIX, UPGRADE, REVIEW, PCI, DOCS = (
    "implement-ticket-brownfield", "implement-ticket-greenfield", "fix-failing-build", "dependency-upgrade",
    "code-review", "pci-change", "documentation-gardening",
)  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_shipped_blueprints_are_sound(path):
    assert lint_text(path.read_bytes()).findings == []


def setting(*path, value):
    def change(document):
        holder = document
        for part in path[:-1]:
            holder = holder[part]
        holder[path[-1]] = value

    return change


def on(name, **fields):
    return lambda document: node(document, name).update(fields)


def without(name):
    return lambda document: document["nodes"].remove(node(document, name))


def both(*changes):
    def change(document):
        for one in changes:
            one(document)

    return change


def grant(name, effect):
    return lambda document: document["permissions"]["tools"].append({"name": name, "effect": effect})


LOOSE = {"kind": "join", "policy": "all"}
CASES = [
    (BROWN, on("verify", id="end"), "RESERVED_ID"),
    (BROWN, on("push", next="nowhere"), "UNKNOWN_NODE"),
    (REVIEW, on("read_both", join="located"), "UNKNOWN_NODE"),
    (BROWN, on("implement", next="push"), "UNREACHABLE"),
    (DOCS, on("propose", next="look"), "CYCLE"),
    (DOCS, on("correct", next="correct", on={"fail": "correct"}), "PATH_NEVER_ENDS"),
    (DOCS, both(on("look", next="escalate"), on("propose", next="escalate")), "END_UNREACHABLE"),
    (FIX, on("once_more", **{"from": "propose"}), "LOOP_WITHOUT_BODY"),
    (REVIEW, on("read_security", next="located"), "FORK_NOT_JOINED"),
    (REVIEW, on("read_security", next="read_faults"), "BRANCHES_MEET"),
    (REVIEW, lambda d: d["nodes"].append({"id": "loose", **LOOSE}), "JOIN_WITHOUT_FORK"),
    (REVIEW, on("get_diff", on={"fail": "read_faults"}), "JUMP_INTO_BRANCH"),
    (REVIEW, lambda d: d["nodes"].insert(0, {**node(d, "read_both"), "id": "twin"}), "JOIN_SHARED"),
    (BROWN, on("repair", until="checks.tests.passed &&"), "NOT_CEL"),
    (BROWN, on("repair", until="check.tests.passed"), "UNKNOWN_FACT"),
    (BROWN, on("repair", until="checks.test.passed"), "UNKNOWN_FACT"),
    (BROWN, on("repair", until="checks[inputs.ticket].passed"), "UNKNOWN_FACT"),
    (BROWN, setting("outputs", "pull_request", "value", value="nodes.gone.output.url"), "UNKNOWN_FACT"),
    (BROWN, on("verify_again", checks=["tests", "newtests"]), "UNKNOWN_CHECK"),
    (BROWN, setting("goal", "checks", value=["tests", "gone"]), "UNKNOWN_CHECK"),
    (DOCS, setting("checks", 3, "sensor", value="computational"), "SENSOR"),
    (DOCS, on("verify", checks=["links", "commands", "only_documentation"]), "CHECK_UNUSED"),
    (BROWN, setting("inputs", "base_branch", "default", value=1), "PARAMETER_TYPE"),
    (PCI, setting("inputs", "in_scope", "default", value="elsewhere"), "PARAMETER_TYPE"),
    (PCI, setting("inputs", "in_scope", "choices", value=["storage", 1]), "PARAMETER_TYPE"),
    (DOCS, without("verify"), "UNSENSED_WRITE"),
    (DOCS, on("verify", checks=["faithful"]), "UNSENSED_WRITE"),
    (DOCS, on("verify", on={"fail": "propose"}), "UNSENSED_WRITE"),
    (PCI, both(setting("pattern", value="dark-factory"), without("review")), "UNREVIEWED_DEPLOY"),
    (PCI, both(setting("pattern", value="either"), on("review", on={"reject": "keep_record"})), "UNREVIEWED_DEPLOY"),
    (DOCS, setting("goal", "checks", value=["faithful"]), "GOAL_NOT_COMPUTED"),
    (DOCS, on("verify", checks=["links", "faithful"]), "GOAL_UNPROVEN"),
    (DOCS, on("verify", on={"fail": "end"}), "GOAL_UNPROVEN"),
    (BROWN, on("plan", tools=["code-search/serch"]), "TOOL_NOT_PERMITTED"),
    (BROWN, on("push", tool="forge/force_push"), "TOOL_NOT_PERMITTED"),
    (BROWN, on("plan", tools=["forge/push_branch"]), "AGENT_WRITES"),
    (BROWN, lambda d: node(d, "push").pop("writes"), "WRITE_UNNAMED"),
    (BROWN, on("read_ticket", writes="comment"), "WRITE_BY_READER"),
    (BROWN, on("push", writes="merge"), "WRITE_NOT_PERMITTED"),
    (BROWN, grant("forge/delete_branch", "destroy"), "GRANT_UNUSED"),
    (BROWN, setting("budget", "agent_turns", value=100), "OVER_BUDGET"),
    (BROWN, setting("budget", "wall_minutes", value=60), "OVER_BUDGET"),
    (BROWN, setting("budget", "tool_calls", value=2), "OVER_BUDGET"),
    (BROWN, setting("budget", "tokens", value=0), "OVER_BUDGET"),
    (BROWN, on("implement", max_visits=2), "VISITS_BELOW_ROUNDS"),
    (BROWN, lambda d: d["nodes"].append({**node(d, "open_pull_request"), "id": "again"}), "WRITES_OVER_LIMIT"),
    (BROWN, setting("needs", "shell", value=False), "NEEDS_UNDERDECLARED"),
    (BROWN, setting("needs", "filesystem", value="repo-ro"), "NEEDS_UNDERDECLARED"),
    (BROWN, setting("needs", "network", value="none"), "NEEDS_UNDERDECLARED"),
    (BROWN, lambda d: d["needs"].pop("packages"), "NEEDS_UNDERDECLARED"),
    (BROWN, on("set_up", needs={"memory_mib": 8192}), "NEEDS_UNDERDECLARED"),
    (DOCS, on("look", checks=["links"]), "GOAL_UNPROVEN"),
    (DOCS, setting("checks", 0, "command", value=["cargo", "build"]), "NEEDS_UNDERDECLARED"),
    (GREEN, setting("needs", "interactive", value=True), "NEEDS_CONTRADICT"),
    (BROWN, lambda d: d["nodes"].append(node(d, "plan")), "DUPLICATE_ID"),
]


@pytest.mark.parametrize(
    ("name", "change", "code"), CASES, ids=[f"{number}-{case[2]}" for number, case in enumerate(CASES)]
)
def test_each_fault_is_found_and_explained(name, change, code):
    document = sample(name)
    change(document)
    found: list[Finding] = [finding for finding in lint(document) if finding.code == code]
    assert found, list(lint(document))
    assert all(finding.path and finding.message and finding.remedy for finding in found)


def test_a_gate_over_facts_from_before_the_agent_clears_nothing():
    document = sample(DOCS)
    node(document, "verify").update({"kind": "gate", "when": "checks.links.passed"})
    for field in ("checks", "minutes"):
        del node(document, "verify")[field]
    assert "UNSENSED_WRITE" in {finding.code for finding in lint(document)}


def test_a_gate_over_a_check_that_ran_after_the_agent_clears_its_write():
    document = sample(DOCS)
    node(document, "verify")["on"] = {"fail": "judge"}
    place = document["nodes"].index(node(document, "propose"))
    document["nodes"].insert(place, {"id": "judge", "kind": "gate", "when": "checks.links.passed"})
    assert "UNSENSED_WRITE" not in {finding.code for finding in lint(document)}


def test_findings_stand_where_the_text_is():
    text = FILES[0].read_text().replace("    width: 2\n", "    width: 99\n")
    (finding,) = lint_text(text).findings
    assert finding.line == text[: text.index("width: 99")].count("\n") + 1
    assert finding.as_text("a.yaml").startswith(f"a.yaml:{finding.line}:5: error: ")


def nested(loops):
    """Returns a blueprint whose loops stand one within the other, around gates."""
    document = sample(DOCS)
    gates = [{"id": f"gate_{number}", "kind": "gate", "when": "checks.links.passed"} for number in range(loops)]
    backs = [
        {
            "id": f"loop_{number}",
            "kind": "loop",
            "from": f"gate_{loops - 1 - number}",
            "until": "checks.links.passed",
            "max": 10,
        }
        for number in range(loops)
    ]
    document["nodes"][1:1] = [*gates, *backs]
    document["nodes"][0].pop("next")
    return document


@pytest.mark.parametrize("loops", [2, 3, 95])
def test_loops_within_loops_are_bounded_together(loops):
    found = {finding.code for finding in lint(nested(loops))}
    assert ("LOOPS_MULTIPLY" in found) == (loops > 2)


def test_a_flood_of_faults_is_cut_short():
    document = {f"key_{number}" * 20: number for number in range(5000)}
    found = list(lint(document))
    assert len(found) == 200
    assert all(len(finding.message) < 300 for finding in found)
