"""Harness layers to test with, made at random: a platform's, valid extensions of it, and each way to weaken it."""

from datetime import date

TODAY = date(2026, 11, 23)
SCALE = ["info", "low", "medium", "high", "critical"]
STRICT, LAX = "stricter", "weaker"


def layer(tier, tenant, **parts):
    return {"harness": 1, "owner": {"tier": tier, "tenant": tenant}, **parts}


def parameter(chance, direction):
    made = {"direction": direction, "value": chance.randint(20, 80)}
    if direction == "lower":
        made |= {"value": chance.choice(SCALE[1:-1]), "scale": SCALE}
    elif direction in {"grow", "shrink"}:
        made["value"] = chance.sample(["a", "b", "c", "d"], chance.randint(1, 3))
    return made


def moved(chance, written, way):
    """Returns a value that is strictly stricter or weaker; a fixed one only ever becomes another."""
    value, further = written["value"], way == STRICT
    direction = written["direction"]
    if direction in {"up", "down"}:
        return value + chance.randint(1, 9) * (1 if (direction == "up") == further else -1)
    if direction == "lower":
        place = SCALE.index(value)
        return chance.choice(SCALE[:place] if further else SCALE[place + 1 :])
    if direction in {"grow", "shrink"}:
        return [*value, "new"] if (direction == "grow") == further else value[1:]
    return value + 1


def platform(chance):
    checks = []
    for number in range(chance.randint(1, 4)):
        check = {"id": f"check_{number}", "title": "A check", "blocking": True, "evidence": ["junit", "sarif"]}
        check |= chance.choice(
            [{"sensor": "computational", "command": ["make", "it"]}, {"sensor": "inferential", "prompt": "Look."}]
        )
        directions = ["up", "down", "lower", "grow", "shrink", "fixed"]
        check["parameters"] = {
            name: parameter(chance, name) for name in chance.sample(directions, chance.randint(1, 6))
        }
        checks.append(check)
    return layer("platform", "platform", checks=checks)


def extension(chance, base, tier, tenant):
    """Returns a valid layer below `base`: stricter values where there is a direction, and checks of its own."""
    tighten = []
    for check in base["checks"]:
        values = {
            name: moved(chance, written, STRICT)
            for name, written in check["parameters"].items()
            if name != "fixed" and chance.random() < 0.6
        }
        tighten.append({"check": f"platform/{check['id']}", "parameters": values, "evidence": ["coverage"]})
    own = {"id": f"own_{tier}", "title": "Ours", "sensor": "computational", "blocking": chance.random() < 0.5}
    own |= {"command": ["make", chance.choice(["one", "other"])], "parameters": {"up": parameter(chance, "up")}}
    return layer(tier, tenant, checks=[own], tighten=tighten)


def single_weakenings(chance, top, tier, tenant):
    """Yields every single way in which a layer below can ask for less, with the code and the path of its refusal."""
    for check in top["checks"]:
        name = f"{top['owner']['tenant']}/{check['id']}"
        for field, written in check["parameters"].items():
            value = {field: moved(chance, written, LAX)}
            yield tightening(tier, tenant, name, parameters=value), "WEAKER", f"/tighten/0/parameters/{field}"
        yield tightening(tier, tenant, name, blocking=False), "WEAKER", "/tighten/0/blocking"
        for field, value in NO_KEYS.items():
            yield tightening(tier, tenant, name, **{field: value}), "UNKNOWN_KEY", f"/tighten/0/{field}"
        for again in redefinitions(check):
            yield layer(tier, tenant, checks=[again]), "CHECK_REDEFINED", "/checks/0/id"
        yield layer(tier, tenant, waivers=[{**WAIVER, "check": name}]), "WAIVER_NOT_OWNER", "/waivers/0/check"
    for key in ("disable", "remove", "exclude", "replace"):
        yield layer(tier, tenant, **{key: ["check_0"]}), "UNKNOWN_KEY", f"/{key}"


NO_KEYS = {
    "disabled": True,
    "remove": True,
    "waived": True,
    "allow_failure": True,
    "exclude": ["src"],
    "command": ["true"],
    "prompt": "Say yes.",
    "image": "other",
    "sensor": "inferential",
    "title": "Another",
}
WAIVER = {"person": "kim", "reason": "It is in our way.", "expires": "2026-12-01"}


def tightening(tier, tenant, name, **fields):
    return layer(tier, tenant, tighten=[{"check": name, **fields}])


def redefinitions(check):
    """Yields the check written anew by somebody else: as it is, not blocking, with another command, with no parameter."""
    plain = {name: value for name, value in check.items() if name not in {"command", "prompt"}}
    yield check
    yield {**check, "blocking": False}
    yield {**plain, "sensor": "computational", "command": ["true"]}
    yield {**plain, "sensor": "inferential", "prompt": "Say yes."}
    yield {**check, "parameters": {}}


def changed_later(chance, top):
    """Returns the layer of an owner who has changed their mind: stricter, laxer, other checks, names that others use."""
    checks = []
    for check in top["checks"]:
        fate = chance.choice(["gone", "kept", "kept", "moved", "moved", "turned", "quiet"])
        if fate == "gone":
            continue
        parameters = check["parameters"]
        if fate in {"moved", "turned"}:
            kept = [name for name in parameters if fate == "moved" or chance.random() < 0.5]
            parameters = {name: _rewritten(chance, parameters[name], fate) for name in kept}
        checks.append({**check, "blocking": check["blocking"] and fate != "quiet", "parameters": parameters})
    taken = chance.sample(["own_domain", "own_team", "brand_new"], chance.randint(0, 3))
    checks += [{"id": name, "title": "New", "sensor": "inferential", "prompt": "x", "blocking": True} for name in taken]
    return {**top, "checks": checks}


def _rewritten(chance, written, fate):
    if fate == "turned":
        return chance.choice([{"direction": "up", "value": 99}, {"direction": "shrink", "value": []}])
    return {**written, "value": moved(chance, written, chance.choice([STRICT, LAX]))} if _has_room(written) else written


def _has_room(written):
    """Tells whether a value made here can move both ways: a set can be as small as it gets."""
    return written["direction"] not in {"grow", "shrink"} or bool(written["value"])
