"""The list of camera models that the bureau sends: signed with its key, newer than the one in force, kept whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cameras.model_list import WatchedModelList
from agent.cameras.received_list import RECEIVED_NAME, ReceivedModelList
from agent.core.errors import SettingsError
from agent.core.openssh import NAMESPACE, WITNESS_NAMESPACE, ensure_key_file, sign_with


class ListIssuer:
    """The bureau's key, and a box whose settings name a list of 2 November."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.private = folder, folder / "bureau"
        self.public = ensure_key_file(self.private, "bureau")
        self.file = folder / "camera-models.toml"
        self.put(self.write("2026-11-02", "VC-1"))
        self.kept = folder / "state" / RECEIVED_NAME

    def write(self, issued: str, *models: str) -> str:
        entries = "".join(f'[[camera]]\nmanufacturer = "Example"\nmodel = "{model}"\n' for model in models)
        return f'issuer = "市局"\nissued = {issued}\n{entries}'

    def sign(self, text: str, private: Path | None = None, namespace: str = NAMESPACE) -> str:
        return sign_with(text.encode(), private or self.private, namespace).decode()

    def put(self, text: str) -> None:
        self.file.write_text(text, encoding="utf-8")
        self.file.with_name(self.file.name + ".sig").write_text(self.sign(text), encoding="utf-8")

    def watched(self) -> WatchedModelList:
        return WatchedModelList(self.file, self.public, self.folder / "copy.toml", self.kept)

    def received(self) -> ReceivedModelList:
        return ReceivedModelList(self.file, self.public, self.kept)


@pytest.fixture
def bureau(tmp_path: Path) -> ListIssuer:
    return ListIssuer(tmp_path)


def models(watched: WatchedModelList) -> list[str]:
    return [model.model for model in watched.current().approved.models]


def test_a_newer_list_rules_at_once_and_after_a_restart(bureau: ListIssuer) -> None:
    watched, text = bureau.watched(), bureau.write("2026-11-20", "VC-2", "VC-3")
    assert models(watched) == ["VC-1"]
    assert bureau.received().keep(text, bureau.sign(text)) == 2
    assert models(watched) == models(bureau.watched()) == ["VC-2", "VC-3"]
    assert bureau.received().keep(text, bureau.sign(text)) is None, "the broker sends it at each connection"
    bureau.put(bureau.write("2026-11-25", "VC-9"))
    assert models(watched) == ["VC-9"], "a newer file by hand rules"


@pytest.mark.parametrize("issued", ["2026-11-01", "2025-12-31"])
def test_an_old_list_does_not_come_back(bureau: ListIssuer, issued: str) -> None:
    old = bureau.write(issued, "XX-1")
    with pytest.raises(SettingsError) as refused:
        bureau.received().keep(old, bureau.sign(old))
    assert refused.value.key == "cameras.list_older" and models(bureau.watched()) == ["VC-1"]
    assert list(bureau.kept.parent.iterdir()) == []


def test_what_the_bureau_did_not_sign_is_not_taken(bureau: ListIssuer, tmp_path: Path) -> None:
    text, other = bureau.write("2026-11-20", "XX-1"), tmp_path / "other"
    ensure_key_file(other, "other")
    for signature in ("", "nonsense", bureau.sign(text, other), bureau.sign(text, namespace=WITNESS_NAMESPACE),
                      bureau.sign(text + "\n")):  # fmt: skip
        with pytest.raises(SettingsError) as refused:
            bureau.received().keep(text, signature)
        assert refused.value.key == "cameras.list_bad_signature"
    for broken in ("[[camera", 'issued = 2026-11-20\n[[camera]]\nmodel = "x"\n', "issued = 2026-11-20\n"):
        with pytest.raises(SettingsError):
            bureau.received().keep(broken, bureau.sign(broken))
    with pytest.raises(SettingsError) as refused:
        ReceivedModelList(bureau.file, "", bureau.kept).keep(text, bureau.sign(text))
    assert refused.value.key == "cameras.list_no_key"
    assert models(bureau.watched()) == ["VC-1"]


def test_a_kept_list_that_was_changed_does_not_count(bureau: ListIssuer) -> None:
    text = bureau.write("2026-11-20", "VC-2")
    bureau.received().keep(text, bureau.sign(text))
    bureau.kept.write_text(text.replace("VC-2", "XX-1"), encoding="utf-8")
    assert models(bureau.watched()) == ["VC-1"]
