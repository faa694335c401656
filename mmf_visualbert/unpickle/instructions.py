"""The instructions of a pickle that data need; all others are refused.

Each is a function of the machine and the place after its code, which gives the place of the next one.
"""

import codecs
import struct
from collections.abc import Callable
from typing import Any

from mmf_visualbert.unpickle.arrays import Name, Pending, RefusedError, find
from mmf_visualbert.unpickle.machine import LONGEST_NAME, CutOffError, Instruction, Machine

_SHORT, _INT, _COUNT = struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<I")
_LONG_COUNT, _FLOAT = struct.Struct("<Q"), struct.Struct(">d")
_CONTAINER = 64  # bytes of the smallest list, dict or tuple
_LONGEST_INT = 9  # bytes of a number of 64 bits without a sign
_LONGEST_DIGITS = 24


def _text(machine: Machine, start: int, length: int) -> int:
    end = start + length
    if end > machine.end:
        raise CutOffError
    machine.stack.append(str(machine.raw[start:end], "utf-8", "surrogatepass"))
    return end


def _short_text(machine: Machine, place: int) -> int:
    return _text(machine, place + 1, machine.raw[place])


def _count_text(machine: Machine, place: int) -> int:
    return _text(machine, place + 4, _COUNT.unpack_from(machine.raw, place)[0])


def _long_text(machine: Machine, place: int) -> int:
    return _text(machine, place + 8, _LONG_COUNT.unpack_from(machine.raw, place)[0])


def _line_text(machine: Machine, place: int) -> int:
    line, place = machine.line(place)
    return machine.push(str(line, "raw-unicode-escape"), place)


def _quoted(machine: Machine, place: int) -> int:
    """A string of Python 2 in quotation marks; its bytes are read as latin1."""
    line, place = machine.line(place)
    if len(line) < 2 or line[0] != line[-1] or line[:1] not in b"'\"":
        raise ValueError("a string without quotation marks")
    return machine.push(codecs.escape_decode(line[1:-1])[0].decode("latin1"), place)


def _bytes(count: struct.Struct | None, old: bool = False) -> Instruction:
    """Bytes behind their number; `old`: as a string of Python 2."""

    def instruction(machine: Machine, place: int) -> int:
        start = place + (1 if count is None else count.size)
        length = machine.raw[place] if count is None else count.unpack_from(machine.raw, place)[0]
        raw = machine.take(start, length)
        machine.stack.append(raw.decode("latin1") if old else raw)
        return start + length

    return instruction


def _number(form: struct.Struct) -> Instruction:
    def instruction(machine: Machine, place: int) -> int:
        machine.stack.append(form.unpack_from(machine.raw, place)[0])
        return place + form.size

    return instruction


def _byte(machine: Machine, place: int) -> int:
    machine.stack.append(machine.raw[place])
    return place + 1


def _long(count: int) -> Instruction:
    def instruction(machine: Machine, place: int) -> int:
        length = int.from_bytes(machine.take(place, count), "little")
        if length > _LONGEST_INT:
            raise RefusedError("holds a whole number of more than 64 bits")
        raw = machine.take(place + count, length)
        machine.stack.append(int.from_bytes(raw, "little", signed=True))
        return place + count + length

    return instruction


def _line_number(machine: Machine, place: int) -> int:
    line, place = machine.line(place, _LONGEST_DIGITS)
    if line in (b"00", b"01"):  # how protocols 0 and 1 write False and True
        return machine.push(line == b"01", place)
    number = int(line.removesuffix(b"L"))
    if number.bit_length() > 64:
        raise RefusedError("holds a whole number of more than 64 bits")
    return machine.push(number, place)


def _line_float(machine: Machine, place: int) -> int:
    line, place = machine.line(place, LONGEST_NAME)
    return machine.push(float(line), place)


def _constant(value: Any) -> Instruction:
    def instruction(machine: Machine, place: int) -> int:
        machine.stack.append(value)
        return place

    return instruction


def _empty(kind: Callable[[], Any]) -> Instruction:
    def instruction(machine: Machine, place: int) -> int:
        machine.budget.spend(_CONTAINER)
        machine.stack.append(kind())
        return place

    return instruction


def _mark(machine: Machine, place: int) -> int:
    machine.budget.spend(_CONTAINER)
    machine.below.append(machine.stack)
    machine.stack = []
    return place


def _tuple(length: int) -> Instruction:
    def instruction(machine: Machine, place: int) -> int:
        machine.budget.spend(_CONTAINER)
        items = machine.stack[-length:]
        if len(items) != length:
            raise CutOffError
        machine.stack[-length:] = [tuple(items)]
        return place

    return instruction


def _marked_tuple(machine: Machine, place: int) -> int:
    return machine.push(tuple(machine.pop_mark()), place)


def _marked_list(machine: Machine, place: int) -> int:
    return machine.push(machine.pop_mark(), place)


def _marked_dict(machine: Machine, place: int) -> int:
    items = machine.pop_mark()
    return machine.push(_filled({}, items), place)


def _append(machine: Machine, place: int) -> int:
    value = machine.stack.pop()
    _require(machine.stack[-1], list).append(value)
    return place


def _appends(machine: Machine, place: int) -> int:
    items = machine.pop_mark()
    _require(machine.stack[-1], list).extend(items)
    return place


def _set_item(machine: Machine, place: int) -> int:
    value, key = machine.stack.pop(), machine.stack.pop()
    _filled(_require(machine.stack[-1], dict), [key, value])
    return place


def _set_items(machine: Machine, place: int) -> int:
    items = machine.pop_mark()
    _filled(_require(machine.stack[-1], dict), items)
    return place


def _require(target: Any, kind: type) -> Any:
    if type(target) is not kind:
        raise RefusedError(f"puts something into what is no {kind.__name__}")
    return target


def _filled(target: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
    keys = items[::2]
    if len(items) % 2:
        raise ValueError("a dict with a key that has no value")
    if any(type(key) is tuple for key in keys):  # hashing tuples in tuples could go deeper than the process can
        raise RefusedError("holds a dict whose keys are neither text nor whole numbers")
    target.update(zip(keys, items[1::2], strict=True))
    return target


def _pop(machine: Machine, place: int) -> int:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()
    return place


def _pop_mark(machine: Machine, place: int) -> int:
    machine.pop_mark()
    return place


def _put(count: int) -> Instruction:
    def instruction(machine: Machine, place: int) -> int:
        machine.remember(int.from_bytes(machine.take(place, count), "little"), machine.stack[-1])
        return place + count

    return instruction


def _line_put(machine: Machine, place: int) -> int:
    line, place = machine.line(place, _LONGEST_DIGITS)
    machine.remember(max(int(line), 0), machine.stack[-1])
    return place


def _memoize(machine: Machine, place: int) -> int:
    value = machine.stack[-1]
    if isinstance(value, Pending):
        value.places.append(len(machine.memo))
    machine.memo.append(value)
    return place


def _get(machine: Machine, place: int) -> int:
    machine.stack.append(machine.recall(machine.memo[machine.raw[place]]))
    return place + 1


def _long_get(machine: Machine, place: int) -> int:
    machine.stack.append(machine.recall(machine.memo[_COUNT.unpack_from(machine.raw, place)[0]]))
    return place + 4


def _line_get(machine: Machine, place: int) -> int:
    line, place = machine.line(place, _LONGEST_DIGITS)
    return machine.push(machine.recall(machine.memo[max(int(line), 0)]), place)


def _global(machine: Machine, place: int) -> int:
    module, place = machine.line(place, LONGEST_NAME)
    name, place = machine.line(place, LONGEST_NAME)
    return machine.push(find(str(module, "utf-8"), str(name, "utf-8"), machine.budget), place)


def _stack_global(machine: Machine, place: int) -> int:
    name, module = machine.stack.pop(), machine.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise RefusedError("names something by what is no text")
    return machine.push(find(module, name, machine.budget), place)


def _reduce(machine: Machine, place: int) -> int:
    arguments, called = machine.stack.pop(), machine.stack.pop()
    if type(called) is not Name or type(arguments) is not tuple:
        raise RefusedError("calls what is no function")
    return machine.push(called(*arguments), place)


def _build(machine: Machine, place: int) -> int:
    state, target = machine.stack.pop(), machine.stack.pop()
    if isinstance(target, Name):
        target.__setstate__(state)
    if not isinstance(target, Pending):
        raise RefusedError("changes what is made already")
    target.__setstate__(state)
    for index in target.places:
        machine.memo[index] = target.value
    return machine.push(target.value, place)


def _protocol(machine: Machine, place: int) -> int:
    if machine.raw[place] > 5:
        raise ValueError(f"protocol {machine.raw[place]}")
    return place + 1


def _frame(machine: Machine, place: int) -> int:
    machine.take(place, 8)
    return place + 8


def _stop(machine: Machine, place: int) -> int:
    return -1


def _refused(machine: Machine, place: int) -> int:
    code = machine.raw[place - 1]
    if code in _OBJECTS:
        raise RefusedError(
            f"asks to run a class ({_OBJECTS[code]}), and only numpy arrays and plain containers are read",
            "do not use this file unless you trust its maker, and then convert it yourself",
        )
    raise ValueError(f"the instruction 0x{code:02x}")


_OBJECTS = {0x51: "BINPERSID", 0x50: "PERSID", 0x69: "INST", 0x6F: "OBJ", 0x81: "NEWOBJ", 0x92: "NEWOBJ_EX"}
_OBJECTS |= {0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4"}

_BY_CODE: dict[bytes, Instruction] = {
    b"\x80": _protocol,
    b"\x95": _frame,
    b".": _stop,
    b"N": _constant(None),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b"K": _byte,
    b"M": _number(_SHORT),
    b"J": _number(_INT),
    b"G": _number(_FLOAT),
    b"\x8a": _long(1),
    b"\x8b": _long(4),
    b"I": _line_number,
    b"L": _line_number,
    b"F": _line_float,
    b"\x8c": _short_text,
    b"X": _count_text,
    b"\x8d": _long_text,
    b"V": _line_text,
    b"S": _quoted,
    b"U": _bytes(None, old=True),
    b"T": _bytes(_COUNT, old=True),
    b"C": _bytes(None),
    b"B": _bytes(_COUNT),
    b"\x8e": _bytes(_LONG_COUNT),
    b"\x96": _bytes(_LONG_COUNT),  # a bytearray, which nothing here changes
    b"(": _mark,
    b")": _empty(tuple),
    b"]": _empty(list),
    b"}": _empty(dict),
    b"\x85": _tuple(1),
    b"\x86": _tuple(2),
    b"\x87": _tuple(3),
    b"t": _marked_tuple,
    b"l": _marked_list,
    b"d": _marked_dict,
    b"a": _append,
    b"e": _appends,
    b"s": _set_item,
    b"u": _set_items,
    b"0": _pop,
    b"1": _pop_mark,
    b"p": _line_put,
    b"q": _put(1),
    b"r": _put(4),
    b"\x94": _memoize,
    b"g": _line_get,
    b"h": _get,
    b"j": _long_get,
    b"c": _global,
    b"\x93": _stack_global,
    b"R": _reduce,
    b"b": _build,
}
INSTRUCTIONS: list[Instruction] = [_BY_CODE.get(bytes([code]), _refused) for code in range(256)]
