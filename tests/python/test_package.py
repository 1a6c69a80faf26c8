"""The package as it is installed: its wheel, its types, its documentation."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata, resources
from types import ModuleType

import pytest

import obrolan
import obrolan.__main__
import obrolan.aio
import obrolan.bot
import obrolan.client
import obrolan.engine
import obrolan.errors
import obrolan.events
import obrolan.pending
import obrolan.pool
import obrolan.pytest_plugin
import obrolan.requests
import obrolan.running
import obrolan.talk
import obrolan.testing
import obrolan.turns
from obrolan import _obrolan

MODULES = [
    obrolan,
    obrolan.__main__,
    obrolan.aio,
    obrolan.bot,
    obrolan.client,
    obrolan.engine,
    obrolan.errors,
    obrolan.events,
    obrolan.pending,
    obrolan.pool,
    obrolan.pytest_plugin,
    obrolan.requests,
    obrolan.running,
    obrolan.talk,
    obrolan.testing,
    obrolan.turns,
]

STUB = ast.parse((resources.files("obrolan") / "_obrolan.pyi").read_text(encoding="utf-8"))


def test_the_wheel_is_for_every_python_from_3_10_on_and_needs_nothing() -> None:
    package = metadata.distribution("obrolan")
    wheel = package.read_text("WHEEL")
    assert wheel is not None
    assert "Tag: cp310-abi3-" in wheel
    assert package.requires is None
    assert package.version == obrolan.__version__
    assert package.metadata["Requires-Python"] == ">=3.10"
    assert (resources.files("obrolan") / "py.typed").is_file()


def test_it_is_imported_fast() -> None:
    """The processor's time counts, and the least of some runs: others may be busy on this machine."""
    program = "import time; began = time.process_time(); import obrolan; print(time.process_time() - began)"
    runs = [subprocess.check_output([sys.executable, "-c", program], timeout=60) for _ in range(5)]
    assert min(map(float, runs)) < 0.1


@pytest.mark.parametrize("module", [module for module in MODULES if hasattr(module, "__all__")])
def test_what_a_module_gives_is_there_and_sorted(module: ModuleType) -> None:
    assert sorted(set(module.__all__)) == module.__all__
    for name in module.__all__:
        assert hasattr(module, name)


def test_every_name_has_its_public_place() -> None:
    public = {*obrolan.__all__, *obrolan.engine.__all__}
    assert set(_obrolan.__all__) - public == {"main", "RawClient", "parse_url"}
    for name in _obrolan.__all__:
        if inspect.isclass(value := getattr(_obrolan, name)):
            assert getattr(sys.modules[value.__module__], name) is value


def test_every_error_is_an_error_of_obrolan() -> None:
    for name in obrolan.errors.__all__:
        assert issubclass(getattr(obrolan.errors, name), obrolan.Error)
    assert str(obrolan.Refused("stopping", "the server is stopping")) == "the server is stopping"
    assert str(obrolan.RateLimited(1.5)) == "too many attempts; try again in 1.5 seconds"
    error = obrolan.RequestError("no_such_user", "pesan tidak terkirim")
    assert (error.code, error.data, str(error)) == (
        "no_such_user",
        "pesan tidak terkirim",
        "pesan tidak terkirim (no_such_user)",
    )


def documented(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Yield what a module defines, and what its classes do, but for what every object has.

    The fields of dataclasses are slots, and documented where they stand.
    """
    yield module.__name__, module
    for name, value in vars(module).items():
        public = not name.startswith("_") and type(value).__module__ != "typing"
        if public and callable(value) and getattr(value, "__module__", "obrolan").startswith("obrolan"):
            yield name, value
            for inner, member in vars(value).items() if inspect.isclass(value) else ():
                is_field = inspect.ismemberdescriptor(member)
                if (
                    not inner.startswith("_")
                    and not is_field
                    and (callable(member) or inspect.isdatadescriptor(member))
                ):
                    yield f"{name}.{inner}", member


def test_everything_is_documented() -> None:
    undocumented = [
        name for module in (*MODULES, _obrolan) for name, it in documented(module) if not inspect.getdoc(it)
    ]
    assert undocumented == []


def test_the_stub_has_the_documentation_of_the_code() -> None:
    """Editors show what the stub says, and Python's help what the code says."""

    def compare(path: str, described: ast.Module | ast.ClassDef | ast.FunctionDef, it: object) -> None:
        if not path.rpartition(".")[2].startswith("__"):
            assert ast.get_docstring(described) == inspect.getdoc(it), path
        for inner in described.body:
            if isinstance(inner, ast.ClassDef | ast.FunctionDef):
                compare(f"{path}.{inner.name}", inner, getattr(it, inner.name))

    compare("_obrolan", STUB, _obrolan)
