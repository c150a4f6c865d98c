"""Output on the terminal: messages, tables, nothing that controls it."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence


def lacks_chinese(environment: Mapping[str, str]) -> bool:
    """Return whether the terminal is the kernel's own console, whose font has no Chinese characters and no input method.

    By TERM alone: sudo may have put a terminal of its own between. Through SSH the characters are drawn elsewhere.
    """
    return environment.get("TERM") == "linux" and not environment.get("SSH_CONNECTION")


def print_json(item: Mapping[str, object]) -> None:
    """Print one JSON line on standard output."""
    sys.stdout.write(json.dumps(item, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_message(text: str) -> None:
    """Print a message for the user on standard error, so that standard output holds JSON only."""
    sys.stderr.write(escape_control(text, keep="\n\t") + "\n")
    sys.stderr.flush()


def escape_control(text: str, keep: str = "") -> str:
    """Escape control characters (as `\\x1b`): names of files and cameras must not control the terminal."""
    return "".join(repr(c)[1:-1] if c not in keep and _is_control(c) else c for c in text)


def _is_control(char: str) -> bool:
    kind = unicodedata.category(char)
    return kind[0] == "C" or kind in ("Zl", "Zp")


def format_table(rows: Iterable[Sequence[str]], headings: Sequence[str]) -> str:
    """Format rows as aligned columns; a Chinese character is two columns wide."""
    lines = [list(headings), *[[escape_control(cell) for cell in row] for row in rows]]
    widths = [max(_display_width(line[i]) for line in lines) for i in range(len(headings))]
    return "\n".join(
        "  ".join(cell + " " * (widths[i] - _display_width(cell)) for i, cell in enumerate(line)).rstrip()
        for line in lines
    )


def _display_width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
