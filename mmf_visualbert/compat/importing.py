"""Watches imports, so that repairs are in place however MMF comes to be imported, and registers our parts after it."""

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from mmf_visualbert.compat import repairs

# A name's stand-in: a function that makes the module, which is asked only when no finder knows the name.
StandIn = Callable[[str], ModuleType | None]
FRAMEWORK = "mmf"
OURS = {f"mmf_visualbert.{name}" for name in ("plugin.registration", "plugin.model", "plugin.datasets")}
"""Our modules that import MMF. Where one of them is what brings MMF in, registering waits until it is whole."""


class WatchingLoader(Loader):
    """Loads a module as its own loader would, with our repairs before and after."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the module's own loader."""
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module between its repairs; afterwards nothing shows that it was watched."""
        name = module.__name__
        module.__loader__ = self.loader
        if module.__spec__ is not None:
            module.__spec__.loader = self.loader
        repairs.run("before", name)
        _watcher.loading.add(name)
        try:
            self.loader.exec_module(module)
        finally:
            _watcher.loading.discard(name)
        repairs.run("after", name, module)
        if name == FRAMEWORK or _watcher.registering_waits:
            register()


class Watcher:
    """Stands first among the finders and wraps the loaders of the modules that are watched."""

    def __init__(self) -> None:
        self.names = repairs.watched() | {FRAMEWORK} | OURS
        self.loading: set[str] = set()
        self.registering_waits = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec that the other finders give, with a watching loader; None for names that are not watched."""
        if name not in self.names:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = None if find is None or finder is self else find(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = WatchingLoader(spec.loader)
                return spec
        return None


class StandInFinder:
    """Stands last among the finders and knows modules that no longer exist elsewhere."""

    def __init__(self) -> None:
        self.makers: list[StandIn] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A spec of the stand-in, where there is one for `name`."""
        for make in self.makers:
            module = make(name)
            if module is not None:
                return ModuleSpec(name, StandInLoader(module), is_package=hasattr(module, "__path__"))
        return None


class StandInLoader(Loader):
    """Puts a module that exists already under the name that was asked for."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Let Python make an empty one; it is replaced in `exec_module`, which Python's import allows."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Replace the empty module by the stand-in."""
        sys.modules[module.__name__] = self.module


_watcher = Watcher()
_stand_ins = StandInFinder()


def activate() -> None:
    """Watch imports from now on. Safe to repeat. Where MMF is imported already, everything is done at once."""
    if _watcher in sys.meta_path:
        return
    sys.meta_path.insert(0, _watcher)
    framework = sys.modules.get(FRAMEWORK)
    for name in sorted(_watcher.names & set(sys.modules)):
        repairs.run("before", name)
        repairs.run("after", name, sys.modules[name])
    if framework is not None and not getattr(framework.__spec__, "_initializing", False):
        register()


def stand_in(make: StandIn) -> None:
    """Ask `make` for a module whenever a name is imported that no finder knows."""
    _stand_ins.makers.append(make)
    if _stand_ins not in sys.meta_path:
        sys.meta_path.append(_stand_ins)


def register() -> None:
    """Hand our parts to MMF's registry; later, where one of our own modules is still being imported."""
    _watcher.registering_waits = not OURS.isdisjoint(_watcher.loading)
    if not _watcher.registering_waits:
        importlib.import_module("mmf_visualbert.plugin.registration").register_all()
