"""Finding classes by what officials call them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from agent.core.class_search import list_months, parse_query, search_classes
from tests.support.attendance_factory import a_class, lesson

TODAY = date(2026, 11, 23)
ONE = replace(
    a_class(lesson("08:30", "11:30", teacher="李老师"), head_teacher="张老师"),
    class_id="WS2026-DG-003", class_number=3, institution="示例职业培训学校",
)  # fmt: skip
TWO = replace(ONE, class_id="WS2026-HG-001", class_number=1, occupation="焊工", head_teacher="", lessons=(),
              first_day=date(2026, 9, 1), last_day=date(2026, 10, 9))  # fmt: skip
AHEAD = replace(TWO, class_id="WS2026-BJ-013", class_number=13, occupation="保健按摩", first_day=date(2026, 12, 1),
                last_day=date(2026, 12, 9), institution="另一学校")  # fmt: skip
ALL = [AHEAD, TWO, ONE]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", [ONE, AHEAD, TWO]),
        ("示例职业培训学校", [ONE, TWO]), ("张老师", [ONE]), ("李老师", [ONE]), ("电工第3班", [ONE]), ("电工第三班", [ONE]),
        ("电工 3班", [ONE]), ("第１班", [TWO]), ("第13班", [AHEAD]), ("3", [ONE]), ("dg-003", [ONE]), ("焊工第3班", []),
        ("2026-11-23", [ONE]), ("11月23日", [ONE]), ("2026年11月23日", [ONE]), ("11月24日", []), ("2026-10", [TWO]),
        ("进行中", [ONE]), ("已结束", [TWO]), ("焊工 已结束", [TWO]), ("没有", []),
    ],
)  # fmt: skip
def test_words(typed: str, found: list[object]) -> None:
    assert search_classes(ALL, parse_query(typed), TODAY) == found


def test_filters_and_months() -> None:
    assert search_classes(ALL, parse_query("", "ahead"), TODAY) == [AHEAD]
    assert search_classes(ALL, parse_query("", "", "2026-09"), TODAY) == [TWO]
    assert search_classes(ALL, parse_query("", "no such", "13"), TODAY) == [ONE, AHEAD, TWO], (
        "nonsense leaves nothing out"
    )
    assert list_months(ALL) == ["2026-12", "2026-11", "2026-10", "2026-09"]
