"""What is wrong with the link though there is one (topics that do not get through, another box of the same name), kept in the
catalog, so that the doctor of another process finds it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from agent.catalog import Catalog
from agent.core.errors import BureauError

_FACT = "bureau.warnings"


class LinkWarnings:
    """Writes only what changed. Begins with none."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._told = catalog.facts.get(_FACT) or "[]"
        self.are([])

    def are(self, errors: Sequence[BureauError]) -> None:
        text = json.dumps([[error.key, error.params] for error in errors])
        if text != self._told:
            self._told = text
            self._catalog.facts.put(_FACT, text)


def load_warnings(catalog: Catalog) -> list[BureauError]:
    """As the running agent last said."""
    return [BureauError(key, **params) for key, params in json.loads(catalog.facts.get(_FACT) or "[]")]
