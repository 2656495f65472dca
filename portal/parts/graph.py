"""A blueprint's flow as SVG: one box a node, top to bottom, themed by CSS classes. The table beside it says the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from blueprints.format.schema import END, ESCALATE
from blueprints.graph import Edge, Graph

BOX_WIDTH, BOX_HEIGHT = 232, 46
GAP_X, GAP_Y = 28, 30
MARGIN_X, MARGIN_Y = 44, 8
LETTERS: Final = 30
LABEL: Final = 180
KINDS: Final = {
    "run": "Command",
    "agent": "Agent",
    "tool": "Tool call",
    "validate": "Checks",
    "gate": "Gate",
    "approve": "Person decides",
    "branch": "Branch",
    "loop": "Loop",
    "fork": "Side by side",
    "join": "Join",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the box of a node stands."""

    x: int
    y: int

    @property
    def middle(self) -> int:
        """The x of its middle."""
        return self.x + BOX_WIDTH // 2


def draw_graph(document: Mapping[str, Any], marks: Mapping[str, str] | None = None) -> SafeString:
    """Returns the flow of a sound blueprint. `marks` name a tone (ok, warn, bad, note) for the nodes to point out."""
    graph = Graph(document["nodes"])
    places = _places(graph)
    width = max(place.x for place in places.values()) + BOX_WIDTH + _room_for_labels(graph, places)
    height = max(place.y for place in places.values()) + BOX_HEIGHT + MARGIN_Y
    edges = [edge for edges in graph.edges.values() for edge in edges if edge.target in places]
    lines = format_html_join("", "{}", ((_line(edge, places),) for edge in edges))
    boxes = format_html_join("", "{}", ((_box(graph, name, place, marks or {}),) for name, place in places.items()))
    title = f"Flow of {document['document']['title']}: {len(graph.nodes)} nodes. The table below says the same."
    return format_html(
        '<svg width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img" aria-label="{title}"><title>{title}</title>'
        "{lines}{boxes}</svg>",
        w=width,
        h=height,
        title=title,
        lines=lines,
        boxes=boxes,
    )


def _room_for_labels(graph: Graph, places: Mapping[str, Place]) -> int:
    """Ways around other boxes run on the right, with their condition beside them."""
    edges = (edge for edges in graph.edges.values() for edge in edges if edge.target in places)
    return LABEL if any(_goes_around(places[edge.source], places[edge.target]) for edge in edges) else MARGIN_X


def _goes_around(start: Place, end: Place) -> bool:
    return end.y - start.y > BOX_HEIGHT + GAP_Y and start.x == end.x


def _places(graph: Graph) -> dict[str, Place]:
    """Each node one row below the lowest that leads to it; what shares a row stands side by side."""
    rows = _rows(graph)
    widest = max((len(names) for names in rows), default=1)
    full = widest * BOX_WIDTH + (widest - 1) * GAP_X
    places = {}
    for number, names in enumerate(rows):
        used = len(names) * BOX_WIDTH + (len(names) - 1) * GAP_X
        left = MARGIN_X + (full - used) // 2
        for column, name in enumerate(names):
            places[name] = Place(left + column * (BOX_WIDTH + GAP_X), MARGIN_Y + number * (BOX_HEIGHT + GAP_Y))
    return places


def _rows(graph: Graph) -> list[list[str]]:
    level: dict[str, int] = {}
    for name in graph.order() or list(graph.nodes):
        level.setdefault(name, 0)
        for edge in graph.edges[name]:
            if edge.kind != "again" and _is_drawn(edge, graph):
                level[edge.target] = max(level.get(edge.target, 0), level[name] + 1)
    level[END] = max(level.values(), default=0) + (END not in level)
    rows: list[list[str]] = [[] for _ in range(max(level.values()) + 1)]
    for name, number in level.items():
        rows[number].append(name)
    return [names for names in rows if names]


def _is_drawn(edge: Edge, graph: Graph) -> bool:
    """What fails goes to a person everywhere; drawing that for each node would hide the flow."""
    return edge.target in graph.nodes or edge.target == END


def _line(edge: Edge, places: Mapping[str, Place]) -> SafeString:
    start, end = places[edge.source], places[edge.target]
    if edge.kind == "again":
        return _back(edge, start, end)
    x1, y1, x2, y2 = start.middle, start.y + BOX_HEIGHT, end.middle, end.y
    if _goes_around(start, end):
        side = start.x + BOX_WIDTH
        path = f"M{side} {y1 - 14}h{GAP_X // 2}V{y2 + 14}h-{GAP_X // 2}"
        head = f"M{side + 6} {y2 + 10}l-6 4 6 4"
        return _drawn(edge, path + head, side + GAP_X // 2 + 4, (y1 + y2) // 2)
    bend = (y2 - y1) // 2
    path = f"M{x1} {y1}C{x1} {y1 + bend} {x2} {y2 - bend} {x2} {y2}M{x2 - 4} {y2 - 6}l4 6 4-6"
    return _drawn(edge, path, (x1 + x2) // 2 + 6, (y1 + y2) // 2 + 4)


def _back(edge: Edge, start: Place, end: Place) -> SafeString:
    left, reach = min(start.x, end.x), 20
    path = f"M{start.x} {start.y + BOX_HEIGHT // 2}H{left - reach}V{end.y + BOX_HEIGHT // 2}H{end.x}m-6-4l6 4-6 4"
    return _drawn(edge, path, left - reach + 4, end.y + BOX_HEIGHT + 14)


def _drawn(edge: Edge, path: str, x: int, y: int) -> SafeString:
    label = "" if edge.label in {"", "fork", "again"} else edge.label
    words = format_html('<text class="muted" x="{}" y="{}">{}</text>', x, y, _cut(label, 24)) if label else ""
    tone = {"bad": "bad", "again": "note"}.get(edge.kind, "")
    return format_html('<path class="{}" d="{}"/>{}', tone, path, words)


def _box(graph: Graph, name: str, place: Place, marks: Mapping[str, str]) -> SafeString:
    if name in {END, ESCALATE}:
        return format_html(
            '<g class="{}"><rect x="{}" y="{}" width="72" height="24" rx="12"/>'
            '<text x="{}" y="{}" text-anchor="middle">{}</text></g>',
            "ok" if name == END else "bad",
            place.middle - 36,
            place.y,
            place.middle,
            place.y + 16,
            "End" if name == END else "A person",
        )
    node = graph.nodes[name]
    return format_html(
        '<g class="{}"><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="6"/>'
        '<text class="muted" x="{}" y="{}">{}</text><text x="{}" y="{}">{}</text></g>',
        marks.get(name, ""),
        node.get("title", name),
        place.x,
        place.y,
        BOX_WIDTH,
        BOX_HEIGHT,
        place.x + 12,
        place.y + 18,
        _cut(f"{KINDS[node['kind']]} · {name}", LETTERS + 4),
        place.x + 12,
        place.y + 35,
        _cut(node.get("title", name), LETTERS),
    )


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node as the table beside the picture shows it."""

    id: str
    kind: str
    title: str
    caps: str
    onward: str


def rows_of_graph(document: Mapping[str, Any]) -> list[NodeRow]:
    """Returns the nodes in the order of the document with what bounds them and where they lead."""
    graph = Graph(document["nodes"])
    return [
        NodeRow(name, KINDS[node["kind"]], node.get("title", ""), _caps(node), _onward(graph, name))
        for name, node in graph.nodes.items()
    ]


def _caps(node: Mapping[str, Any]) -> str:
    words = {
        "minutes": ("min", "min"),
        "max_turns": ("turn", "turns"),
        "max_visits": ("visit", "visits"),
        "max": ("round", "rounds"),
        "expires_hours": ("h to decide", "h to decide"),
        "width": ("at once", "at once"),
    }
    return ", ".join(f"{node[name]} {said[node[name] != 1]}" for name, said in words.items() if name in node)


def _onward(graph: Graph, name: str) -> str:
    said = {"good": "", "bad": "else ", "again": "again "}
    return ", ".join(f"{said[edge.kind]}{edge.target}" for edge in graph.edges[name])
