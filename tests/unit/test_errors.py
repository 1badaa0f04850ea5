from http import HTTPStatus

import pytest

from oose import errors
from oose.errors import BadInput, OoseError, RangeNotSatisfiable, TooManyAttempts, WrongMethod

KINDS = [
    each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, OoseError)
]


def test_every_error_has_a_status_of_its_own_that_http_knows() -> None:
    statuses = [kind.status for kind in KINDS]
    assert len(set(statuses)) == len(statuses) == 18
    assert all(HTTPStatus(status) >= 400 for status in statuses)


def test_the_statuses_are_those_of_the_contract() -> None:
    assert {400, 401, 403, 404, 409, 413, 415, 422, 429, 502, 503, 504, 507} <= {
        kind.status for kind in KINDS
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_says_what_it_is_for(kind: type[OoseError]) -> None:
    assert kind.__doc__
    assert kind.__doc__ != Exception.__doc__


def test_an_error_carries_its_message_and_perhaps_when_to_come_back() -> None:
    assert BadInput("no").message == str(BadInput("no")) == "no"
    assert BadInput("no").retry_after is None
    assert TooManyAttempts("later", retry_after=5).retry_after == 5


def test_a_wrong_method_names_the_right_ones() -> None:
    assert WrongMethod("no", ("GET", "HEAD")).allowed == ("GET", "HEAD")


def test_a_range_beyond_the_end_names_the_size() -> None:
    error = RangeNotSatisfiable(10)
    assert error.size == 10
    assert error.message == "None of the requested ranges lies within the file's 10 bytes"
