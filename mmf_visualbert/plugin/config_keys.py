"""Finds the keys of a configuration that nothing would read. Plain containers in, names out; MMF is not needed."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

# Below these keys a configuration may hold what it likes: their readers check it themselves.
FREE = frozenset({"params", "heads", "losses", "metrics", "processors"})


def unknown_keys(given: Mapping[str, Any], known: Mapping[str, Any], free: Collection[str] = FREE) -> list[str]:
    """The keys of `given` that `known` does not have, dotted.

    Only as deep as both are mappings. An empty mapping in `known` stands for one of any content.

    Args:
        given: what the user wrote.
        known: every key that is read, with any value.
        free: names of keys below which everything goes.
    """
    return list(_unknown(given, known, free, ""))


def _unknown(given: Mapping, known: Mapping, free: Collection[str], prefix: str) -> Iterator[str]:
    for key, value in given.items():
        if key not in known:
            yield f"{prefix}{key}"
        elif key not in free and isinstance(value, Mapping) and isinstance(known[key], Mapping) and known[key]:
            yield from _unknown(value, known[key], free, f"{prefix}{key}.")


def dotted(known: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """All keys of a nested mapping, dotted, the inner nodes too."""
    for key, value in known.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from dotted(value, f"{prefix}{key}.")


def nearest(unknown: str, known: Mapping[str, Any]) -> str | None:
    """The known key that was most likely meant: a similar sibling, else the same name elsewhere, else a similar
    name elsewhere."""
    paths = list(dotted(known))
    parent, _, name = unknown.rpartition(".")
    siblings = {path.rpartition(".")[2]: path for path in paths if path.rpartition(".")[0] == parent}
    close = difflib.get_close_matches(name, siblings, n=1)
    if close:
        return siblings[close[0]]
    same_name = sorted((path for path in paths if path.rpartition(".")[2] == name), key=len)
    if same_name:
        return same_name[0]
    names = {path.rpartition(".")[2]: path for path in paths}
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.8)
    return names[close[0]] if close else None


def complaint(where: str, unknown: list[str], known: Mapping[str, Any], hints: Mapping[str, str], mmf: str) -> str:
    """One sentence that names every unknown key with what was likely meant.

    Args:
        where: the file, or "the command line".
        unknown: dotted keys.
        known: every key that is read.
        hints: what to do instead, for keys that another MMF has.
        mmf: the installed MMF, such as "MMF 1.0.0rc10".
    """
    named = []
    for key in unknown:
        near = nearest(key, known)
        hint = hints.get(key) or (f"did you mean '{near}'?" if near else "")
        named.append(f"'{key}'" + (f" ({hint})" if hint else ""))
    keys = "the key " if len(named) == 1 else "the keys "
    listed = keys + ", ".join(named)
    return f"{where}: neither {mmf} nor mmf_visualbert reads {listed}; correct or remove what is named here"
