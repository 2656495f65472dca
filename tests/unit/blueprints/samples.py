"""Blueprints to test with: the shipped ones, and overlays and forks made at random from them."""

import copy
import random
from functools import cache
from pathlib import Path

from blueprints.forks.keyed import KEYS
from blueprints.format.reading import read_yaml

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
