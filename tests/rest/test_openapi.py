"""The description says what the API does, and the committed file says the same."""

from pathlib import Path

import pytest
import yaml

from portal.rest.schema import PROBLEMS, openapi_document
from tests.rest.test_sweep import enumerate_routes

pytestmark = pytest.mark.django_db

COMMITTED = Path(__file__).parents[2] / "docs" / "reference" / "openapi.yaml"
UNDESCRIBED = {"GET openapi.json", r"GET ^[\s\S]*$"}


def test_the_committed_description_is_the_present_one():
    committed = yaml.safe_load(COMMITTED.read_text())
    assert committed == openapi_document(), "run: ./manage.py spectacular --file docs/reference/openapi.yaml"


def test_no_two_things_are_described_under_one_name(capsys):
    openapi_document()
    assert "identical names" not in capsys.readouterr().err


def operations():
    for path, methods in openapi_document()["paths"].items():
        for method, told in methods.items():
            yield f"{method.upper()} {path}", told


def test_every_route_is_described():
    assert len(list(operations())) == len(set(enumerate_routes()) - UNDESCRIBED)


def test_every_operation_describes_its_problems():
    for name, told in operations():
        assert {"401", "403", "404", "429"} <= set(told["responses"]), name
        if name.startswith(("POST", "PUT", "PATCH", "DELETE")):
            assert "409" in told["responses"], name
        if any(item["name"] == "If-Match" for item in told.get("parameters", [])):
            assert {"412", "428"} <= set(told["responses"]), name
        if "requestBody" in told:
            assert {"400", "413", "415", "422"} <= set(told["responses"]), name


def test_problems_are_problem_json():
    responses = openapi_document()["components"]["responses"]
    assert set(responses) == {f"Problem{status}" for status in PROBLEMS}
    assert all(set(told["content"]) == {"application/problem+json"} for told in responses.values())


def test_operation_ids_are_unique():
    ids = [told["operationId"] for _, told in operations()]
    assert len(ids) == len(set(ids))


def test_it_is_served_to_anybody(client, db):
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.json() == openapi_document()
