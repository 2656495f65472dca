"""Blueprints to test with: the shipped ones, and overlays and forks made at random from them."""

import copy
import random
from functools import cache
from pathlib import Path

from blueprints.forks.baseline import weakenings
from blueprints.forks.keyed import KEYS
from blueprints.format.reading import read_yaml
from blueprints.linting import lint

LIBRARY = Path(__file__).resolve().parent.parent.parent.parent / "blueprints" / "library"
FILES = sorted(LIBRARY.glob("*.yaml"))


@cache
def _read(name):
    return read_yaml((LIBRARY / f"{name}.yaml").read_bytes()).value


def sample(name="implement-ticket-brownfield"):
    """Returns a copy of a shipped blueprint."""
    return copy.deepcopy(_read(name))


def node(document, name):
    return next(node for node in document["nodes"] if node["id"] == name)


def names():
    return [path.stem for path in FILES]


def random_fork(base, seed, *, most=8):
    """Returns a document of the right form that differs from `base` in up to `most` ways; it need not lint."""
    chance = random.Random(seed)
    fork = copy.deepcopy(base)
    for number in range(chance.randint(0, most)):
        chance.choice(_WAYS)(fork, chance, f"new_{number}_{chance.randint(0, 3)}")
    return fork


def sound_fork(base, seed, *, tries=12):
    """Returns a document that differs from `base` in some of `tries` ways, lints, and proves no less than `base`."""
    chance = random.Random(seed)
    fork = copy.deepcopy(base)
    for number in range(tries):
        changed = copy.deepcopy(fork)
        chance.choice([*_WAYS, *_SOUND_WAYS])(changed, chance, f"new_{number}_{chance.randint(0, 3)}")
        if is_sound(changed) and not list(weakenings(base, changed)):
            fork = changed
    return fork


def parameter_fork(base, seed, *, tries=4):
    """Returns a sound document that differs from `base` in caps and budget only, in at least one."""
    chance = random.Random(seed)
    fork = copy.deepcopy(base)
    while tries or fork == base:
        tries = max(0, tries - 1)
        changed = copy.deepcopy(fork)
        _cap(changed, chance, "")
        if is_sound(changed):
            fork = changed
    return fork


def is_sound(document):
    """Tells whether a document has no error."""
    return not any(finding.severity == "error" for finding in lint(document))


def _cap(fork, chance, name):
    holder = chance.choice([fork["budget"], *(item for item in fork["nodes"] if "minutes" in item)])
    field = chance.choice([field for field in holder if isinstance(holder[field], int)])
    holder[field] = max(0, holder[field] + chance.choice([-2, -1, 1, 5]))


def _check_of_ones_own(fork, chance, name):
    item = {"id": name, "title": "Ours.", "sensor": "computational", "command": ["make", name]}
    fork["checks"].insert(chance.randint(0, len(fork["checks"])), item)


def _listing(fork, chance):
    path = chance.choice([path for path in KEYS if path[0] in fork])
    holder = fork
    for part in path[:-1]:
        holder = holder[part]
    return holder[path[-1]], KEYS[path]


def _add(fork, chance, name):
    listing, key = _listing(fork, chance)
    item = copy.deepcopy(chance.choice(listing)) if listing else {key: name}
    if all(item_[key] != name for item_ in listing):
        listing.insert(chance.randint(0, len(listing)), {**item, key: name})


def _remove(fork, chance, name):
    listing, _ = _listing(fork, chance)
    if listing:
        listing.pop(chance.randrange(len(listing)))
    if not fork.get("preconditions", True):
        del fork["preconditions"]


def _shuffle(fork, chance, name):
    listing, _ = _listing(fork, chance)
    chance.shuffle(listing)


def _change(fork, chance, name):
    listing, key = _listing(fork, chance)
    if not listing:
        return
    item = chance.choice(listing)
    field = chance.choice([*(field for field in item if field != key), "title"])
    item[field] = chance.choice([1, True, 0, False, "text", ["a", "b"], {"a": {"b": 1}}, {"a": {}}, {}, [], 1.5])


def _drop(fork, chance, name):
    listing, key = _listing(fork, chance)
    fields = [(item, field) for item in listing for field in item if field != key]
    if fields:
        item, field = chance.choice(fields)
        del item[field]


def _deep(fork, chance, name):
    section = chance.choice(["budget", "needs", "inputs", "outputs", "goal", "escalate"])
    holder = fork.setdefault(section, {})
    if chance.random() < 0.3 and holder:
        del holder[chance.choice(sorted(holder))]
    else:
        holder[chance.choice([name, "cpu", "statement", "a/b", "a~b"])] = chance.choice(
            [1, "x", {"y": [1, {"z": None}]}]
        )


def _prompt(fork, chance, name):
    agents = [item for item in fork["nodes"] if "prompt" in item]
    if agents:
        chance.choice(agents)["prompt"] = chance.choice(["Do it well.", "Do it twice."])


_WAYS = [_add, _remove, _shuffle, _change, _drop, _deep, _prompt]
_SOUND_WAYS = [_cap, _cap, _check_of_ones_own, _prompt]
