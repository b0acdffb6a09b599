"""Every event handler the server has, as its own registry says, told by a process that loads the whole application."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_TELL = """
import importlib, inspect, json, pkgutil, sys
import clinic_app.ui
from clinic_app.ui.session.drawn import MARK as ABOUT
from clinic_app.ui.session.guard import FRAMEWORK_EVENTS, MARK
from reflex_base.registry import RegistrationContext
for module in pkgutil.walk_packages(clinic_app.ui.__path__, "clinic_app.ui."):
    importlib.import_module(module.name)
exec(sys.argv[1])
registry = RegistrationContext.get()
told = {"framework": sorted(FRAMEWORK_EVENTS), "handlers": [], "variables": {}}
for name, one in sorted(registry.event_handlers.items()):
    fn = one.handler.fn
    told["handlers"].append({
        "name": name,
        "ours": name.split(".")[-2].startswith(("clinic_app___", "__main__")),
        "where": f"{fn.__module__}.{fn.__qualname__}",
        "mark": None if getattr(fn, MARK, None) is None else str(getattr(fn, MARK)),
        "is_async": inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn),
        "state": next(iter(one.states)).__name__,
        "about": getattr(fn, ABOUT, ""),
        "arguments": [key for key in inspect.signature(fn).parameters if key != "self"],
    })
def walk(state):
    told["variables"][state.get_full_name()] = sorted(state.vars)
    for child in sorted(state.get_substates(), key=lambda one: one.get_full_name()):
        walk(child)
import reflex as rx
walk(rx.State)
print("TOLD" + json.dumps(told))
"""


@dataclass(frozen=True)
class Handler:
    """One handler: its event name, where it is defined, and the permission it asks for (None: no mark)."""

    name: str
    ours: bool
    state: str
    where: str
    mark: str | None
    is_async: bool
    about: str  # the argument that names what it acts on, if it is about one thing
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Registry:
    """What the server would accept as an event's name, and the variables of each state."""

    handlers: tuple[Handler, ...]
    framework: frozenset[str]
    variables: Mapping[str, tuple[str, ...]]

    @property
    def ours(self) -> tuple[Handler, ...]:
        """Those of this product."""
        return tuple(handler for handler in self.handlers if handler.ours)


@lru_cache(maxsize=4)
def registry(more: str = "") -> Registry:
    """Ask a fresh process, so that states other tests define are not among them. ``more`` is code it runs first."""
    env = {**os.environ, "CLINIC_MODE": "demo", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _TELL, more], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout.partition("TOLD")[2])
    handlers = tuple(Handler(**{**one, "arguments": tuple(one["arguments"])}) for one in told["handlers"])
    variables = {state: tuple(names) for state, names in told["variables"].items()}
    return Registry(handlers, frozenset(told["framework"]), variables)
