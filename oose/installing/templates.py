"""The templates of `install/`, which lies beside the package `oose` in a checkout."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

INSTALL = Path(__file__).resolve().parents[2] / "install"


class NoTemplates(Exception):
    """The templates are not there; the message says where they should be, and what to do."""


def environment(kind: str, install: Path = INSTALL) -> Environment:
    """The templates in the folder `kind` of `install`; `NoTemplates`.

    A name that a template uses and nobody gave is an error (jinja2: `StrictUndefined`).
    """
    folder = install / kind
    if not folder.is_dir():
        raise NoTemplates(
            f"{folder} is not there: oose was installed without its templates. "
            "Run this from a checkout of oose, or install it from one with install/install.sh"
        )
    return Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 # these are no pages: each kind quotes as its program wants
    )
