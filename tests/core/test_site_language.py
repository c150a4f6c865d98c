"""Whoever stands at the box reads its language: no sentence that the program writes is a literal in the source.

The catalogue's own tests hold that each entry has both languages, and the errors of the project take keys of it. What is left
are the literals that go to the journal, to systemd and to the terminal. What is logged for debugging is for who develops.
"""

from __future__ import annotations

import ast
import errno
import os
import re
from pathlib import Path

import pytest

import agent
from agent import i18n
from agent.core.errors import InputError

FOLDER = Path(agent.__file__).parent
LOG_METHODS = {"info", "warning", "error", "exception", "critical", "log"}
OUTPUTS = {
    "print",
    "print_message",
    "stdout.write",
    "stderr.write",
    "SystemExit",
    "sys.exit",
    "ErrorLog",
    "notify_systemd",
}
PARSERS = {"add_argument", "add_parser", "add_subparsers", "add_argument_group", "ArgumentParser", "Parser"}
SHOWN_BY_ARGPARSE = {"help", "description", "epilog", "title", "usage"}
# the program's own names, the states that systemd is told, and what stands for a value
NAMES = re.compile(
    r"site-agent(-board)?|READY=1|WATCHDOG=1|STOPPING=1|MAINPID=|STATUS=|%(\(\w+\))?[-\d.]*[a-z]|\{[^}]*\}|/dev/\S*"
)
ENGLISH = re.compile(r"[A-Za-z]{2,}")


def literal(node: ast.expr) -> str:
    """The text of a literal, with {} for what varies; empty for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    if isinstance(node, ast.BinOp):
        return literal(node.left) + literal(node.right)
    if isinstance(node, ast.IfExp):
        return f"{literal(node.body)} {literal(node.orelse)}".strip()
    return ""


def written_texts(source: str) -> list[tuple[int, str]]:
    """The literals that a module writes for somebody to read: line and text."""
    found = []
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call):
            continue
        name = ast.unparse(call.func)
        owner, _, method = name.rpartition(".")
        logs = method in LOG_METHODS and owner.rpartition(".")[2].strip("_") in ("log", "logger")
        writes = any(name == output or name.endswith(f".{output}") for output in OUTPUTS)
        given = list(call.args) if logs or writes else []
        if (method or name) in PARSERS:
            given += [keyword.value for keyword in call.keywords if keyword.arg in SHOWN_BY_ARGPARSE]
        found += [(call.lineno, text) for node in given if (text := literal(node))]
    return found


def is_english(text: str) -> bool:
    """Words in Latin letters, and none in Chinese beside them."""
    return bool(ENGLISH.search(NAMES.sub("", text))) and not re.search(r"[\u4e00-\u9fff]", text)


def test_a_grep_finds_no_english_only_sentence_that_a_person_at_the_site_reads() -> None:
    seen, wrong = 0, []
    for file in sorted(FOLDER.rglob("*.py")):
        for line, text in written_texts(file.read_text(encoding="utf-8")):
            seen += 1
            if is_english(text):
                wrong.append(f"{file.relative_to(FOLDER)}:{line} {text!r}")
    assert wrong == []
    assert seen > 100, "the walk finds the places that write"


@pytest.mark.parametrize(
    ("source", "english"),
    [
        ('log.warning("%s", error)', False),
        ('log.info("recovered %s", path)', True),
        ('self._log.error(f"{camera}: recording")', True),
        ('print_message(f"site-agent: {error}")', False),
        ('sys.stderr.write("cannot read it\\n")', True),
        ('sd_notify.notify_systemd(f"STATUS={said}")', False),
        ('sd_notify.notify_systemd("STATUS=starting")', True),
        ('parser.add_argument("--x", help="what it is")', True),
        ('ErrorLog(log, "watch: %s")', True),
        ('log.debug("only for who develops: %s", x)', False),
    ],
)
def test_the_grep_tells_them_apart(source: str, english: bool) -> None:
    assert any(is_english(text) for _, text in written_texts(source)) is english


def test_no_chinese_entry_of_the_catalogue_was_left_in_english() -> None:
    sentence = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")
    assert [
        key for key, entry in i18n.load_catalogue().items() if is_english(entry["zh"]) and sentence.search(entry["zh"])
    ] == []


def test_what_the_operating_system_says_is_said_in_the_language_too() -> None:
    """`error.strerror` is English whatever the language of the box; it stands in most sentences about a file."""
    for key, entry in i18n.load_catalogue().items():
        code = getattr(errno, key.removeprefix("system.says_").upper(), None)
        assert code is None or entry["en"] == os.strerror(code), key
    error = InputError("backup.cannot_write", file="/x", detail=os.strerror(errno.ENOSPC))
    assert i18n.translate_to("zh", error.key, **error.params).startswith("写不了 /x（空间已满）")
    assert "No space left on device" in i18n.translate_to("en", error.key, **error.params)
    assert "some word" in i18n.translate_to("zh", error.key, file="/x", detail="some word")
