"""The configuration: a Python file, read once, checked whole, then frozen."""

from oose.settings.model import BadSettings, PrismSettings, Settings, StoreSettings, Tls
from oose.settings.reader import read
from oose.settings.show import show, tree
from oose.settings.warnings import warnings

__all__ = [
    "BadSettings",
    "PrismSettings",
    "Settings",
    "StoreSettings",
    "Tls",
    "read",
    "show",
    "tree",
    "warnings",
]
