"""Help of every command and option stands in the box's language, headings and complaints of the parser included."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

import pytest

from agent import i18n
from agent.__main__ import build_parser, main
from agent.program.argument_parser import translate_message

CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.fixture(params=["zh", "en"])
def language(request: pytest.FixtureRequest) -> Iterator[i18n.Language]:
    i18n.use_language(request.param)
    yield request.param
    i18n.use_language("zh")


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            assert {c.dest for c in action._choices_actions} == set(action.choices), f"{parser.prog}: without help"
            for choice in action._choices_actions:
                assert choice.help, f"{parser.prog} {choice.dest}"
            for child in action.choices.values():
                yield from parsers(child)


def test_every_option_is_explained(language: i18n.Language) -> None:
    for parser in parsers(build_parser([])):
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                continue
            assert action.help, f"{parser.prog} {action.option_strings or action.dest} has no help"
            spoken = bool(CHINESE.search(action.help))
            where = f"{parser.prog} {action.option_strings or action.dest}: {action.help}"
            assert spoken if language == "zh" and "://" not in action.help else True, where
            assert not spoken if language == "en" else True, where
        text = parser.format_help()
        if language == "zh":
            for word in ("usage:", "options:", "positional arguments", "show this help", "optional"):
                assert word not in text, f"{parser.prog}: {word}"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("the following arguments are required: DIR", "缺少参数 DIR"),
        ("unrecognized arguments: --x", "不认识的参数 --x"),
        (
            "argument --session: invalid choice: 'x' (choose from 'am', 'pm')",
            "--session 没有 'x' 这个选择，可以是 'am', 'pm'",
        ),
        ("argument --on: expected one argument", "--on 后面要跟一个值"),
        ("argument --days: invalid int value: 'x'", "--days 的值 'x' 写法不对"),
        ("argument --token: not allowed with argument --account", "--token 不能与 --account 同用"),
        ("argument --json: ignored explicit argument '1'", "--json 后面不跟值，却写了 '1'"),
        ("ambiguous option: --c could match --class, --config", "--c 不够明确，可以是 --class, --config"),
        ("something new", "something new"),
    ],
)
def test_complaints(message: str, said: str) -> None:
    assert translate_message(message) == said


def test_a_complaint_as_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["gaps"])
    assert capsys.readouterr().err == "用法错误：缺少参数 CLASS_ID；请看 site-agent --help\n"
