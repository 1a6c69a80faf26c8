"""Fixtures for pytest, which finds them by itself where this package is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from obrolan import testing

__all__ = ["obrolan_client", "obrolan_server"]


@pytest.fixture
def obrolan_server() -> Iterator[testing.Server]:
    """Start a server in memory, for one test."""
    # Every run of pytest imports this module, whether its tests are about chat or not.
    from obrolan import testing

    with testing.Server() as server:
        yield server


@pytest.fixture
def obrolan_client(obrolan_server: testing.Server) -> Callable[[str], testing.Person]:
    """Return a function that lets somebody come in on obrolan_server: ``obrolan_client("ann")``."""
    return obrolan_server.client
