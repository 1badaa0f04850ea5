from collections.abc import Mapping
from typing import Any

import pytest

from oose.settings import kinds
from oose.settings.section import Section, is_mapping, shown


def section(values: Mapping[str, Any], name: str = "prism") -> tuple[Section, list[str]]:
    problems: list[str] = []
    return Section(name, values, problems), problems


def test_a_value_is_taken_as_its_kind_makes_it() -> None:
    made, problems = section({"life": "2h"})
    assert made.take("life", kinds.duration, 5.0) == 7200.0
    assert made.take("afterlife", kinds.duration, 5.0) == 5.0
    made.close()
    assert problems == []


def test_a_bad_value_is_noted_and_the_default_goes_on() -> None:
    made, problems = section({"port": "many"})
    assert made.take("port", kinds.whole(0, 9), 5) == 5
    assert problems == ["prism.port: expected a whole number from 0 to 9; this is 'many'"]


def test_a_name_of_the_file_itself_has_nothing_before_it() -> None:
    made, problems = section({}, "")
    made.wrong("domain", "is odd")
    assert made.section("prism").dotted("port") == "prism.port"
    assert problems == ["domain: is odd"]


def test_an_unknown_name_gets_a_suggestion() -> None:
    made, problems = section({"prot": 1, "zzz": 1})
    made.take("port", kinds.flag, False)
    made.take("listen", kinds.flag, False)
    made.close()
    assert problems == [
        "prism.prot: there is no such name; did you mean port?",
        "prism.zzz: there is no such name; known are listen, port",
    ]


def test_a_section_that_is_none_is_empty() -> None:
    made, problems = section({"below": None, "there": {"a": True}})
    assert made.section("below").take("a", kinds.flag, False) is False
    assert made.section("gone").take("a", kinds.flag, False) is False
    assert made.section("there").take("a", kinds.flag, False) is True
    made.close()
    assert problems == ["prism.gone: there is no such name; known are below, gone, there"][1:]


@pytest.mark.parametrize("value", [5, "text", [], {1: 2}, False])
def test_a_section_that_is_no_mapping_is_noted(value: object) -> None:
    made, problems = section({"below": value})
    made.section("below").close()
    assert problems == [f"prism.below: expected a mapping; this is {value!r}"]
    assert not is_mapping(value)


def test_a_secret_is_never_shown() -> None:
    assert shown("password", "hunter2") == "a secret of type str"
    made, problems = section({"password": 12345})
    made.take("password", kinds.text, "")
    assert "12345" not in problems[0]


class Unspeakable:
    def __repr__(self) -> str:
        raise ZeroDivisionError


def test_a_value_that_cannot_be_written_out_is_shown_by_its_type() -> None:
    assert shown("port", Unspeakable()) == "a value of type Unspeakable"
    assert shown("port", "x" * 100) == "'" + "x" * 56 + "..."
