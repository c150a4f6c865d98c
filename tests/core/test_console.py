"""The kernel's own console has no Chinese glyphs: whoever installs the box there is told in ASCII where to go."""

from __future__ import annotations

import os

import pytest

from agent.__main__ import main
from agent.program.console import lacks_chinese
from tests.support.terminal import Terminal


@pytest.mark.parametrize(
    ("environment", "lacking"),
    [
        ({"TERM": "linux"}, True),
        ({"TERM": "linux", "SSH_CONNECTION": "10.0.0.9 50000 10.0.0.3 22"}, False),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "fbterm"}, False),
        ({}, False),
    ],
)
def test_the_kernels_console_is_noticed(environment: dict[str, str], lacking: bool) -> None:
    assert lacks_chinese(environment) is lacking


@pytest.mark.parametrize(
    ("language", "terminal", "hinted"), [("zh", "linux", True), ("zh", "xterm", False), ("en", "linux", False)]
)
def test_the_hint_comes_first_and_can_be_read_there(
    monkeypatch: pytest.MonkeyPatch, language: str, terminal: str, hinted: bool
) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setitem(os.environ, "TERM", terminal)
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    with pytest.raises(SystemExit):
        main(["--language", language, "gaps"])
    first = screen.getvalue().splitlines()[0]
    assert ("ssh USER@ADDRESS" in first) is hinted
    assert first.isascii() or not hinted
