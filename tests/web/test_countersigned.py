"""Closings and the bureau's countersignatures as page and API show them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from agent.catalog.drives import ChainLink
from agent.catalog.witnesses import StoredWitness
from agent.core.model import Session
from agent.core.statement_model import LogPosition
from agent.core.witness_text import WitnessText
from tests.support.web_client import ID, Served, serving
from tests.web.test_api import HALF_DAY, Program, conforms

HEAD = "9f" * 32


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("countersigned")) as found:
        yield found


def witness(head: str) -> StoredWitness:
    at = datetime(2025, 3, 10, 4, 1, 6, tzinfo=UTC)
    text = WitnessText(
        "wenshui/site1/box1", ID, date(2025, 3, 10), Session.AM, 1, head, "ssh-ed25519 AAAA",
        LogPosition("4f" * 16, 123, "3e" * 32), at, "文水县人社局",
    )  # fmt: skip
    return StoredWitness(ID, 1, head, datetime.now(UTC), text.write(), "signature")


def test_a_closing_and_its_countersignature_are_shown(served: Served, tmp_path: Path) -> None:
    catalog, page = served.page.site.catalog, served.signed_in()
    program = Program(served, served.page.site.access.make_token("bureau", "bureau", 30)[0])
    document = Program(served, None).open("/openapi.json").json()
    at = f"/classes/{ID}/2025-03-10/am"
    assert program.open(HALF_DAY).json()["closed"] is None
    assert "会签" not in page.open(at).text, "nothing is closed yet"

    catalog.chain.add(
        ChainLink(ID, date(2025, 3, 10), Session.AM, 1, "D1", HEAD, "ssh-ed25519 AAAA", datetime.now(UTC))
    )
    body = program.open(HALF_DAY).json()
    assert (body["closed"]["head"], body["closed"]["countersigned"]) == (HEAD, None)
    assert "人社局尚未会签" in page.open(at).text and HEAD in page.open(at).text

    catalog.witnesses.put(witness("ab" * 32))
    assert program.open(HALF_DAY).json()["closed"]["countersigned"] is None, "it is of another head"
    catalog.witnesses.put(witness(HEAD))
    body = program.open(HALF_DAY).json()
    conforms(document, "HalfDay", body)
    wanted = {"witness": "文水县人社局", "at": "2025-03-10T12:01:06.000+08:00", "number": 123}
    assert body["closed"]["countersigned"] == wanted
    whole = program.open(f"/classes/{ID}").json()
    conforms(document, "Class", whole)
    assert [x["countersigned"] for x in whole["chain"]] == [wanted]
    for path in (at, f"/classes/{ID}"):
        assert "2025-03-10 12:01 文水县人社局" in page.open(path).text
