"""nginx before a prism or a store: the files that say how, from `install/nginx/`.

Each is whole in itself and made for the `http` block, where Debian's nginx includes
`/etc/nginx/sites-enabled/*` (nginx 1.22 as Debian 12 has it: its package `nginx` has the modules
for TLS, HTTP/2, mp4 and flv). docs/operations/nginx.md says what is in them.
"""

from pathlib import Path

from oose.deliver.caching import STATIC
from oose.disk import OPEN
from oose.installing.nginx.fronts import Front, PrismFront, StoreFront
from oose.installing.templates import INSTALL, environment
from oose.media_types import UNKNOWN, known_types

MOST_DIGITS = 12  # of a rate that nothing bounds


def render_prism(front: PrismFront, install: Path = INSTALL) -> str:
    """The file for a prism; `install` is the folder with the program's templates."""
    return _render("prism.conf.j2", front, install)


def render_store(front: StoreFront, install: Path = INSTALL) -> str:
    """The file for a store."""
    return _render(
        "store.conf.j2",
        front,
        install,
        rates=at_most(front.most_rate) if front.most_rate else f"[1-9][0-9]{{0,{MOST_DIGITS - 1}}}",
        mark=OPEN,
        types=sorted(known_types().items()),
        unknown=UNKNOWN,
        cache=STATIC,
    )


def quoted(value: object) -> str:
    """Text for nginx in quotes; `ValueError` for what would not be that text there."""
    text = str(value)
    if not text.isprintable() or set(text) & set('$"\\'):
        raise ValueError(f"{text!r} cannot stand in nginx's configuration")
    return f'"{text}"'


def at_most(most: int) -> str:
    """A regular expression for the numbers from 1 to `most`, written without zeros before them."""
    digits = str(most)
    forms = [f"[1-9][0-9]{{0,{len(digits) - 2}}}"] if len(digits) > 1 else []
    for place, digit in enumerate(digits):
        least = 0 if place else 1
        if int(digit) > least:
            rest = len(digits) - place - 1
            less = f"{digits[:place]}[{least}-{int(digit) - 1}]"
            forms.append(less + (f"[0-9]{{{rest}}}" if rest else ""))
    return f"(?:{'|'.join([*forms, digits])})"


def _render(template: str, front: Front, install: Path, **more: object) -> str:
    templates = environment("nginx", install)
    templates.filters["quoted"] = quoted
    found = templates.get_template(template)
    scheme = "https" if front.upstream_tls else "http"
    text = found.render(front=front, id=front.name.replace("-", "_"), scheme=scheme, **more)
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join(a for a, b in zip(lines, ["", *lines], strict=False) if a or b) + "\n"
