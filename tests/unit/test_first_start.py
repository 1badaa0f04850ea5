"""What the first start leaves for its operator."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oose.first_start import toml


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_is_the_same_in_toml(text: str) -> None:
    assert tomllib.loads(f"x = {toml(text)}") == {"x": text}


@pytest.mark.parametrize("text", ['a"b', "a\\b", "a\nb", "a\x7fb"])
def test_what_would_end_a_string_does_not(text: str) -> None:
    assert tomllib.loads(f"x = {toml(text)}") == {"x": text}
