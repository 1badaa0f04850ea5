"""What may import what. A wall that has to move is moved here, on purpose."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 400  # lines

WITHOUT_TWISTED = {
    "address",
    "balance",
    "conditions",
    "counting",
    "demand.counter",
    "demand.note",
    "demand.saying",
    "disk",
    "disposition",
    "durable",
    "errors",
    "incoming",
    "installing.host.firewall",
    "installing.host.firewall_unit",
    "installing.host.steps",
    "installing.host.values",
    "installing.host.kernel",
    "installing.nginx.rotation",
    "installing.configuring",
    "installing.database",
    "installing.disks",
    "installing.dropins",
    "installing.files",
    "installing.layout",
    "installing.nginx.logs",
    "installing.machine",
    "installing.machine_files",
    "installing.plan",
    "installing.plans",
    "installing.releases",
    "installing.rooms",
    "installing.runner",
    "installing.nginx.sites",
    "installing.stated",
    "installing.system",
    "installing.uninstalling",
    "installing.upgrading",
    "installing.nginx.fronts",
    "installing.nginx.rendering",
    "installing.templates",
    "installing.nginx.peers",
    "installing.nginx.values",
    "locks",
    "media_types",
    "moving.adoption",
    "moving.lines",
    "moving.old_documents",
    "moving.old_file",
    "moving.old_values",
    "moving.sampling",
    "placement",
    "put_aside",
    "ranges",
    "referrers",
    "systemd.inherited",
    "systemd.variables",
    "verifying.reading",
    "verifying.tally",
    "wishes",
}
CORE = WITHOUT_TWISTED | {
    "accounts",
    "arrivals",
    "attempts",
    "burial",
    "claims",
    "clearance",
    "clones",
    "cloning",
    "contents",
    "copying",
    "databases",
    "existence",
    "following",
    "heartbeat",
    "holdings",
    "imports",
    "inventory",
    "keepers",
    "listening",
    "log",
    "logins",
    "loop",
    "newcomers",
    "pace",
    "passage",
    "passwords",
    "pool",
    "protection",
    "purchases",
    "purchasing",
    "quarantine",
    "readers",
    "recall",
    "registry",
    "remembered",
    "removal",
    "restoring",
    "shield",
    "sink",
    "stats",
    "surplus",
    "together",
    "tombstones",
    "trimming",
    "turns",
    "uploads",
    "usernames",
    "volume",
}
CORE_PACKAGES = (
    "couchdb",
    "demand",
    "embedded",
    "metadata",
    "moving",
    "redis",
    "repairing",
    "retrieve",
    "settings",
    "sweeping",
    "systemd",
    "tending",
    "verifying",
)
AT_THE_DOOR = {  # what speaks HTTP, or puts together what does
    "assembly",
    "deliver.delivery",
    "downloads",
    "engine",
    "first_start",  # for `web.credentials` only, like the next two
    "peers",
    "prism",
    "secrets_file",
    "store",
    "viewing",
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted((ROOT / "oose").rglob("*.py"))}
TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in FILES.items()}


def imported(name: str) -> Iterator[str]:
    """What a module imports, wherever in it: modules of ours, and dotted names of others'."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: a relative import, which this test cannot follow"
            for each in node.names:
                full = f"{node.module}.{each.name}"
                is_ours = str(node.module).partition(".")[0] == "oose"
                yield str(node.module) if is_ours and full not in FILES else full


IMPORTS: Mapping[str, frozenset[str]] = {name: frozenset(imported(name)) for name in FILES}


def reached(name: str) -> frozenset[str]:
    """All that importing a module brings in, our own modules' imports with it."""
    seen: set[str] = set()
    left = [name]
    while left:
        found = IMPORTS.get(left.pop(), frozenset()) - seen
        seen |= found
        left += found
    return frozenset(seen)


def lies_in(module: str, *packages: str) -> bool:
    return any(module == each or module.startswith(each + ".") for each in packages)


def core() -> set[str]:
    packages = [f"oose.{each}" for each in CORE_PACKAGES]
    return {f"oose.{each}" for each in CORE} | {each for each in FILES if lies_in(each, *packages)}


def test_the_walls_stand_around_modules_that_there_are() -> None:
    assert {f"oose.{each}" for each in CORE | AT_THE_DOOR} <= set(FILES)
    assert all(f"oose.{each}" in FILES for each in CORE_PACKAGES)


def test_what_only_computes_or_blocks_knows_no_twisted() -> None:
    plain = {f"oose.{each}" for each in WITHOUT_TWISTED}
    plain |= {each for each in FILES if lies_in(each, "oose.settings")}
    found = {
        name: twisted
        for name in plain
        if (twisted := [each for each in reached(name) if lies_in(each, "twisted", "zope")])
    }
    assert found == {}


def test_only_the_tap_takes_the_reactor() -> None:
    takers = {name for name in FILES if "twisted.internet.reactor" in IMPORTS[name]}
    assert takers == {"oose.tap"}


def test_the_prism_knows_no_disk_and_no_store() -> None:
    direct = {"oose.store", "oose.disk", "oose.volume", "oose.holdings", "oose.incoming"}
    assert IMPORTS["oose.prism"] & direct == set()
    assert "oose.store" not in reached("oose.prism")
    assert "oose.prism" not in reached("oose.store")


def test_the_core_knows_no_http() -> None:
    http = ("oose.web", "klein", "werkzeug", "multipart", "twisted.web.server")
    found = {
        name: known
        for name in core()
        if (known := [each for each in reached(name) if lies_in(each, *http)])
    }
    assert found == {}


def test_nobody_comes_to_the_door_unannounced() -> None:
    found = {
        name
        for name, modules in IMPORTS.items()
        if not lies_in(name, "oose.web")
        and any(lies_in(each, "oose.web", "klein", "werkzeug", "multipart") for each in modules)
    }
    assert found <= {f"oose.{each}" for each in AT_THE_DOOR}


def test_nothing_below_imports_what_puts_it_together() -> None:
    found = {
        (name, each)
        for name, modules in IMPORTS.items()
        for each in modules & {"oose.tap", "oose.engine", "oose.assembly"}
    }
    assert found <= {
        ("oose.tap", "oose.engine"),
        ("oose.tap", "oose.assembly"),
        ("oose.engine", "oose.assembly"),
    }


def test_the_service_does_not_know_its_command_line() -> None:
    found = {
        name
        for name, modules in IMPORTS.items()
        if any(lies_in(each, "oose.cli", "click", "rich") for each in modules)
    }
    assert all(lies_in(name, "oose.cli", "oose.__main__") for name in found)


def test_the_service_does_not_know_who_installs_it() -> None:
    found = {
        name
        for name, modules in IMPORTS.items()
        if any(lies_in(each, "oose.installing") for each in modules)
    }
    assert all(lies_in(name, "oose.installing", "oose.cli") for name in found)


def test_there_are_no_circles() -> None:
    graph = {name: modules & set(FILES) - {name} for name, modules in IMPORTS.items()}
    assert len(list(TopologicalSorter(graph).static_order())) == len(FILES)


@pytest.mark.parametrize("name", list(FILES))
def test_a_module_is_short_and_says_what_it_is(name: str) -> None:
    assert len(FILES[name].read_text("utf-8").splitlines()) <= LONGEST
    assert ast.get_docstring(TREES[name])


def test_there_is_one_dialect_of_waiting_and_nothing_half_built() -> None:
    avoided = {"inlineCallbacks", "returnValue", "NotImplementedError"}
    found = set()
    for name, tree in TREES.items():
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        names |= {each.rpartition(".")[2] for each in IMPORTS[name]}
        found |= {(name, each) for each in names & avoided}
    assert found == set()


def test_nothing_sleeps() -> None:
    def sleeps(node: ast.AST) -> bool:
        return isinstance(node, ast.Attribute) and ast.unparse(node) == "time.sleep"

    asleep = {name for name, tree in TREES.items() if any(map(sleeps, ast.walk(tree)))}
    asleep |= {name for name, modules in IMPORTS.items() if "time.sleep" in modules}
    assert asleep == set()
