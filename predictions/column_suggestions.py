"""Which columns of a file probably stand for a model's features, guessed from their names and their order."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

_BETWEEN_WORDS = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"[0-9]+")
Key = Callable[[str], object]
Found = dict[int, int]
"""Positions in the file, by the feature's number."""


def found_by_name(names: Sequence[str], features: Sequence[str]) -> Found:
    """By the very name, then without regard to case and to what stands between the words."""
    found: Found = {}
    for key in (str, _words, _letters):
        found |= _same(key, names, features, found)
    return found


def suggested(names: Sequence[str], features: Sequence[str], found: Found) -> Found:
    """For the features that no name was found for: by the numbers in the names, else in the order of the file."""
    rest = [number for number in range(len(features)) if number not in found]
    free = [at for at, name in enumerate(names) if at not in found.values() and _words(name) != "id"]
    for group in (free, *_alike(free, names)):
        if by_numbers := _by_numbers(rest, group, names, features):
            return by_numbers
        if len(group) == len(rest):
            return dict(zip(rest, group, strict=True))
    return {}


def names_speak_against_position(names: Sequence[str], features: Sequence[str]) -> bool:
    """A name found at another place than its feature's."""
    return any(number != at for number, at in found_by_name(names, features).items())


def _words(name: str) -> str:
    return _BETWEEN_WORDS.sub("_", name.casefold()).strip("_")


def _letters(name: str) -> str:
    return _BETWEEN_WORDS.sub("", name.casefold())


def _numbers(name: str) -> tuple[str, ...]:
    """Without leading zeros, and as text: a name may hold a number of any length."""
    return tuple(digits.lstrip("0") for digits in _DIGITS.findall(name))


def _same(key: Key, names: Sequence[str], features: Sequence[str], found: Found) -> Found:
    """Those whose key is the same, and is nobody else's among the columns nor among the features."""
    columns = {at: key(name) for at, name in enumerate(names) if at not in found.values()}
    wanted = {number: key(feature) for number, feature in enumerate(features) if number not in found}
    many, many_wanted = Counter(columns.values()), Counter(wanted.values())
    place = {each: at for at, each in columns.items() if each and many[each] == 1}
    return {number: place[each] for number, each in wanted.items() if each in place and many_wanted[each] == 1}


def _alike(free: list[int], names: Sequence[str]) -> list[list[int]]:
    """Columns whose names differ in their numbers only, the largest group first."""
    groups = defaultdict(list)
    for at in free:
        groups[_DIGITS.sub("#", _words(names[at]))].append(at)
    return sorted((group for group in groups.values() if len(group) > 1), key=len, reverse=True)


def _by_numbers(rest: list[int], group: list[int], names: Sequence[str], features: Sequence[str]) -> Found:
    """Where each feature's numbers are those of one column of the group."""
    at = {_numbers(names[position]): position for position in group}
    wanted = {number: _numbers(features[number]) for number in rest}
    are_distinct = len(at) == len(group) and len(set(wanted.values())) == len(rest)
    if not rest or not are_distinct or not all(numbers and numbers in at for numbers in wanted.values()):
        return {}
    return {number: at[numbers] for number, numbers in wanted.items()}
