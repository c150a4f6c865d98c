"""Warnings about a working link, kept in the catalog for the doctor, which runs in another process.

They are about topics that do not get through and about another box of the same name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from agent.catalog import Catalog
from agent.errors import BureauError

_FACT = "bureau.warnings"


class Warnings:
    """Writes only changes. Begins with an empty list."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._told = catalog.facts.get(_FACT) or "[]"
        self.set([])

    def set(self, errors: Sequence[BureauError]) -> None:
        """Replace the warnings."""
        text = json.dumps([[error.key, error.params] for error in errors])
        if text != self._told:
            self._told = text
            self._catalog.facts.put(_FACT, text)


def kept(catalog: Catalog) -> list[BureauError]:
    """Return the warnings that the running agent wrote last."""
    return [BureauError(key, **params) for key, params in json.loads(catalog.facts.get(_FACT) or "[]")]
