"""What a box answers to a request for statements (`response/statements`), read by every program that asks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.core.statement_model import Statement, parse_statement

_MOST_EVENTS = 1000


def list_answered_events(event: Mapping[str, object] | None) -> Iterator[tuple[Mapping[str, object], Statement]]:
    """Yield each statement of an answer with the CloudEvent that carries it; none in a refusal or anything malformed."""
    data = event.get("data") if event else None
    result = data.get("result") if isinstance(data, Mapping) else None
    items = result.get("statements") if isinstance(result, Mapping) else None
    for item in items[:_MOST_EVENTS] if isinstance(items, list) else ():
        statement = parse_statement(item) if isinstance(item, Mapping) else None
        if statement is not None:
            yield item, statement
