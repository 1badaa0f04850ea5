"""The `oose` command, also as `python -m oose`.

It takes most of a second to load. Whoever interrupts that is told what an interrupted command says.
"""

import os
import signal
import sys

INTERRUPTED = 130  # as in `oose.cli.exits`, which would bring all of it in


def interrupted(number: int, frame: object) -> None:
    """End at once: nothing is done yet, and an exception could get lost where modules load."""
    text = '{"error": "interrupted"}' if "--json" in sys.argv else "oose: interrupted"
    os.write(2, f"{text}\n".encode())
    os._exit(INTERRUPTED)


def main() -> None:
    """The console script."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else the shell wants it ignored
        signal.signal(signal.SIGINT, interrupted)
    from oose.cli import main as command  # noqa: PLC0415 # this is what may be interrupted

    signal.signal(signal.SIGINT, before)
    command()


if __name__ == "__main__":
    main()
