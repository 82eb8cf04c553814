"""A venue is a package of its own, with the same file names as the others, named in the registry, and known to no other."""

from pathlib import Path

import pytest
from grimp import build_graph

from tocsin import venues
from tocsin.venues.registry import venue_types

PACKAGES = sorted(path.parent for path in Path(venues.__file__).parent.glob("*/__init__.py"))
GRAPH = build_graph("tocsin", cache_dir=None)


def test_each_is_named_in_the_registry():
    assert {package.name for package in PACKAGES} <= {*venue_types()}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
class TestPackage:
    def test_it_has_an_adapter_and_says_what_messages_mean(self, package):
        assert {"__init__.py", "adapter.py", "messages.py"} <= {path.name for path in package.iterdir()}

    def test_it_knows_no_other_venue(self, package):
        others = {f"tocsin.venues.{other.name}" for other in PACKAGES if other != package}
        known = GRAPH.find_upstream_modules(f"tocsin.venues.{package.name}", as_package=True)
        assert not {name for name in known if name.rpartition(".")[0] in others}
