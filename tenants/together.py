"""Several reads in one statement. Each stays the query set that it was, with whatever limits it to who asks.

A page of many small panels would else ask the database once for each of them.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import orjson
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Aggregate, Field, QuerySet, Value
from django.db.models.sql.compiler import SQLCompiler

Row = tuple[Any, ...]

_AS_IT_IS: Final = {
    *("AutoField", "BigAutoField", "IntegerField", "BigIntegerField", "SmallIntegerField", "PositiveIntegerField"),
    *("PositiveSmallIntegerField", "PositiveBigIntegerField", "FloatField", "BooleanField"),
    *("CharField", "TextField", "SlugField"),
}
_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "UUIDField": UUID,
    "DateTimeField": datetime.fromisoformat,
    "DateField": date.fromisoformat,
    "BinaryField": lambda text: bytes.fromhex(text.removeprefix("\\x")),
    "JSONField": lambda value: orjson.dumps(value).decode(),  # the field itself reads text, as the driver gives it
}


def together(**reads: QuerySet[Any, Any]) -> dict[str, list[Any]]:
    """Returns by name what each of these query sets would return by itself, all of it read by one statement."""
    # Counting nothing gives a row that says 0, so what is known to be empty is asked, too.
    compilers = {
        name: rows.query.get_compiler(connection=connection, elide_empty=False) for name, rows in reads.items()
    }
    asked = {name: text for name, compiler in compilers.items() if (text := _text_of(compiler))}
    found = _ask(asked)
    return {name: _made_of(rows, compilers[name], found.get(name, [])) for name, rows in reads.items()}


def totals(rows: QuerySet[Any, Any], **figures: Aggregate) -> QuerySet[Any, dict[str, Any]]:
    """Returns the figures over all of the rows as a query set of one dictionary, which can be read with others."""
    all_of_them = rows.order_by().annotate(all_of_them=Value(1)).values("all_of_them")
    counted: QuerySet[Any, dict[str, Any]] = all_of_them.annotate(**figures).values(*figures)
    return counted


def _text_of(compiler: SQLCompiler) -> tuple[str, Row] | None:
    """Returns statement and parameters; None where it is known without asking that nothing fits."""
    try:
        text, parameters = compiler.as_sql()
    except EmptyResultSet:
        return None
    names = ", ".join(f"c{number}" for number in range(len(compiler.select)))
    whole = f"(SELECT json_agg(part) FROM ({text}) AS part ({names}))::text"  # noqa: S608 - composed of what Django wrote
    return whole, tuple(parameters)


def _ask(asked: Mapping[str, tuple[str, Row]]) -> dict[str, list[Row]]:
    if not asked:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(text for text, _ in asked.values())}",
            [parameter for _, parameters in asked.values() for parameter in parameters],
        )
        found = cursor.fetchone()
    return {name: _rows_in(text) for name, text in zip(asked, found, strict=True)}


def _rows_in(text: str | None) -> list[Row]:
    return [tuple(row.values()) for row in orjson.loads(text or "[]")]


def _made_of(rows: QuerySet[Any, Any], compiler: SQLCompiler, found: list[Row]) -> list[Any]:
    """Returns what the query set makes of these rows, as if its own statement had brought them."""
    if not found:
        return []
    readers = [_reader_of(column.output_field) for column, *_ in compiler.select]
    given = [tuple(read(value) for read, value in zip(readers, row, strict=True)) for row in found]
    clone = rows.all()
    clone.query.get_compiler = lambda *_, **__: compiler  # type: ignore[method-assign]
    compiler.execute_sql = lambda *_, **__: [given]  # type: ignore[method-assign,assignment]
    return list(clone)


def _reader_of(field: "Field[Any, Any]") -> Callable[[Any], Any]:
    """Returns how a value of this field is read from JSON, so that it is what the driver would have given."""
    kind = field.get_internal_type()
    if kind in {"ForeignKey", "OneToOneField"}:
        return _reader_of(field.target_field)  # type: ignore[attr-defined]
    if kind == "ArrayField":
        read_one = _reader_of(field.base_field)  # type: ignore[attr-defined]
        return lambda value: None if value is None else [read_one(item) for item in value]
    if kind in _AS_IT_IS:
        return lambda value: value
    read = _READ[kind]
    return lambda value: None if value is None else read(value)
