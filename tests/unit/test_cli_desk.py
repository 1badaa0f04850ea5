"""What commands show of times."""

from oose.cli.desk import fields, moment

NEVER = 10**30  # ms: no calendar has it


def test_times_are_shown_as_people_write_them_and_other_numbers_as_they_are() -> None:
    shown = fields(
        {"a": {"createdAt": 1_700_000_000_000, "endedAt": None}, "at": 1_700_000_000_000}
    )
    assert shown == [
        ("a.createdAt", moment(1_700_000_000_000)),
        ("a.endedAt", "None"),
        ("at", "1700000000000"),
    ]
    assert shown[0][1].startswith("2023-11-1")


def test_a_time_that_no_calendar_has_is_shown_as_it_is() -> None:
    assert fields({"createdAt": NEVER}) == [("createdAt", str(NEVER))]
