"""Each action that the page writes into the audit has words for the people who read it there."""

from __future__ import annotations

import re

from agent import i18n
from tests.support.paths import ROOT


def test_every_action_has_words() -> None:
    known = i18n.load_catalogue()
    found = set()
    folders = [ROOT / "agent" / "web", ROOT / "agent" / "website", ROOT / "board"]
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r'(?:note|note_once|refused)\(\s*"([a-z][a-z0-9._-]+)"', text))
        found |= set(re.findall(r'_audit\.add_in\(\w+, \w+, \w+, "([a-z][a-z0-9._-]+)"', text))
    assert len(found) > 30
    assert [action for action in sorted(found) if f"audit.action.{action}" not in known] == []
