"""The reactor that runs the tests; Twisted gives it no type."""

from typing import Any

from twisted.internet import reactor as installed

reactor: Any = installed
