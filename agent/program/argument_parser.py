"""The argparse parser of the command line: help and error messages in the user's language."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from typing import NoReturn

from agent import i18n
from agent.program.console import print_message

# messages of argparse (Python 3.11 to 3.13) and the words that say the same; compiled when there is one to translate
_MESSAGES = (
    (r"the following arguments are required: (?P<names>.*)", "commands.usage_required"),
    (r"unrecognized arguments: (?P<names>.*)", "commands.usage_unknown"),
    (
        r"argument (?P<name>.*?): invalid choice: (?P<value>.*?) \(choose from (?P<known>.*)\)",
        "commands.usage_choice",
    ),
    (r"argument (?P<name>.*?): expected .*", "commands.usage_value"),
    (r"argument (?P<name>.*?): invalid .*?value: (?P<value>.*)", "commands.usage_type"),
    (r"argument (?P<name>.*?): not allowed with argument (?P<other>.*)", "commands.usage_together"),
    (r"argument (?P<name>.*?): ignored explicit argument (?P<value>.*)", "commands.usage_no_value"),
    (r"ambiguous option: (?P<name>.*?) could match (?P<known>.*)", "commands.usage_ambiguous"),
    (r"one of the arguments (?P<names>.*) is required", "commands.usage_one_of"),
)


class Parser(argparse.ArgumentParser):
    """An argparse parser whose help, headings and error messages are in the user's language."""

    def __init__(self, **given: object) -> None:
        super().__init__(**{"formatter_class": HelpFormatter, **given, "add_help": False})  # type: ignore[arg-type]
        self._positionals.title = i18n.translate("commands.help_arguments")
        self._optionals.title = i18n.translate("commands.help_options")
        self.add_argument("-h", "--help", action="help", help=i18n.translate("commands.help_help"))

    def error(self, message: str) -> NoReturn:
        print_message(i18n.translate("commands.usage", detail=translate_message(message)))
        raise SystemExit(2)


def translate_message(message: str) -> str:
    """Translate a message of argparse; one that is not known stays as it is."""
    for pattern, key in _MESSAGES:
        if found := re.fullmatch(pattern, message):
            return i18n.translate(key, **found.groupdict())
    return message


class HelpFormatter(argparse.HelpFormatter):
    """Writes the word before the usage in the user's language."""

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[argparse._MutuallyExclusiveGroup],
        prefix: str | None = None,
    ) -> None:
        said = i18n.translate("commands.help_usage") if prefix is None else prefix
        super().add_usage(usage, actions, groups, said)
