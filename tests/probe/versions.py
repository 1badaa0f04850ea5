"""Another version of the program, as a machine has it beside the one in use."""

import shutil
from pathlib import Path

from install.cluster.servers import REPOSITORY
from oose import __version__

PARTS = ("oose", "twisted", "config")  # what a process of a cluster needs
NOT_THESE = shutil.ignore_patterns("__pycache__", "dropin.cache")


def tree_of(version: str, folder: Path) -> Path:
    """This program as that version, below `folder`: the same but for what it calls itself."""
    if version == __version__:
        return REPOSITORY
    tree = folder / f"oose-{version}"
    for part in PARTS:
        shutil.copytree(REPOSITORY / part, tree / part, ignore=NOT_THESE)
    names_itself = tree / "oose" / "__init__.py"
    text = names_itself.read_text("utf-8")
    assert text.count(f'"{__version__}"') == 1
    names_itself.write_text(text.replace(f'"{__version__}"', f'"{version}"'), "utf-8")
    return tree
