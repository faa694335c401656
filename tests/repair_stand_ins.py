"""Stand-ins for the modules that the repairs of `compat` look at, and what a repair does to one."""

import types

from mmf_visualbert.compat import repairs

FUNCTIONS = {repair.function: repair for repair in repairs.REPAIRS if repair.room == "compat"}


def module(**content) -> types.ModuleType:
    """A module that stands in for one of MMF's or another package's."""
    made = types.ModuleType("stand_in")
    vars(made).update(content)
    return made


def repair(function: str, *arguments) -> str | None:
    """What a repair says."""
    return FUNCTIONS[function].load()(*arguments)


def state(made: types.ModuleType) -> dict:
    """All that a repair could change in a module and in its classes."""
    inner = {name: dict(vars(value)) for name, value in vars(made).items() if isinstance(value, type)}
    return {**vars(made), "classes": inner}


def leaves(function: str, made: types.ModuleType) -> None:
    """Asserts that a repair does nothing to a module and gives no reason."""
    before = state(made)
    assert repair(function, made) is None
    assert state(made) == before
