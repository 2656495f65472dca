"""The same law for whole repositories: more of what is good never lowers the level, less of it never raises it."""

import json
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from blueprints.classification.survey import classify
from tests.apps.classification.repositories import NOW, PYTHON, make_repository, report_of

GOOD = {**PYTHON, "CONTRIBUTING.md": "How a change gets in here.\n", "SECURITY.md": "Where to report a flaw.\n"}


@settings(max_examples=15)
@given(kept=st.sets(st.sampled_from(sorted(GOOD))), more=st.sampled_from(sorted(GOOD)), executed=st.booleans())
def test_adding_a_good_file_never_lowers_the_level(tmp_path_factory, kept, more, executed):
    levels = []
    for names in (kept - {more}, kept | {more}):
        root = make_repository(tmp_path_factory.mktemp("repository"), {name: GOOD[name] for name in names})
        report = tmp_path_factory.mktemp("report") / "executed.json"
        report.write_text(json.dumps(report_of(root, "pytest -q")))
        result = classify(root, now=NOW + timedelta(hours=1), executed=report if executed else None)
        levels.append(result.judgement.level)
    assert levels[0] <= levels[1]
