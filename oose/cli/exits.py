"""How a command ends: exit codes for scripts, and the error that carries one."""

OK = 0
FAILED = 1
USAGE = 2  # click's own
NOT_ALLOWED = 3
NOT_FOUND = 4
UNAVAILABLE = 5
BAD_CONFIGURATION = 78  # sysexits.h, as the service itself ends
INTERRUPTED = 130  # 128 and SIGINT, as shells have it

MEANINGS = """\
Exit codes: 0 done; 1 something failed; 2 wrong usage; 3 not logged in or not allowed; 4 not found;
5 the prism cannot be reached or is not able to; 78 the configuration is not usable;
130 interrupted.
"""


class CommandFailed(Exception):
    """A command cannot do what it was asked; the message is for whoever typed it."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


def code_of_status(status: int) -> int:
    """The exit code for an HTTP status that is an error."""
    if status in {401, 403}:
        return NOT_ALLOWED
    if status == 404:
        return NOT_FOUND
    return UNAVAILABLE if status >= 500 else FAILED
