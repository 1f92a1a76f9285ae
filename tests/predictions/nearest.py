"""Decimal texts that are hard to read, and the float32 nearest to each, by exact arithmetic."""

from __future__ import annotations

import re
from fractions import Fraction
from random import Random

import numpy as np

_PARTS = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?")
_BEYOND = 400


def nearest_float32(text: str) -> np.float32:
    """Half to even; infinite where it is beyond the largest."""
    found = _PARTS.fullmatch(text)
    assert found is not None, text
    sign, whole, decimals, power = found[1], found[2], found[3] or "", int(found[4] or 0)
    digits, power = int((whole + decimals) or "0"), power - len(decimals)
    size = _magnitude(digits, power)
    return np.float32(-size if sign == "-" else size)


def _magnitude(digits: int, power: int) -> float:
    if digits == 0 or len(str(digits)) + power < -_BEYOND:
        return 0.0
    if len(str(digits)) + power > _BEYOND:
        return float("inf")
    value = Fraction(digits) * Fraction(10) ** power
    unit = max(value.numerator.bit_length() - value.denominator.bit_length() - 24, -149)
    while unit > -149 and value < Fraction(2) ** (unit + 23):
        unit -= 1
    while value >= Fraction(2) ** (unit + 24):
        unit += 1
    steps = round(value / Fraction(2) ** unit)  # half to even
    return float("inf") if steps * Fraction(2) ** unit >= Fraction(2) ** 128 else steps * 2.0**unit


def hard_number(random: Random) -> str:
    kinds = [_between_floats, _between_floats, _near_a_double, _long, _extreme, _short]
    return _written(random, *random.choice(kinds)(random))


def _between_floats(random: Random) -> tuple[int, int]:
    """Half way between two neighbours, or one last digit beside it."""
    low = random.choice([random.getrandbits(31), random.getrandbits(23), random.getrandbits(2)]) % 0x7F800000
    middle = Fraction(_float(low)) / 2 + Fraction(_float(low + 1) if low + 1 < 0x7F800000 else 2.0**128) / 2
    return _beside(random, middle)


def _near_a_double(random: Random) -> tuple[int, int]:
    """What a double in between would round to the wrong side: its halfway points next to those of a float32."""
    low = random.randrange(1, 0x7F7FFFFF)
    middle = Fraction(_float(low)) / 2 + Fraction(_float(low + 1)) / 2
    return _beside(random, middle * (1 + Fraction(random.choice([-3, -2, -1, 1, 2, 3]), 2 ** random.randint(52, 60))))


def _beside(random: Random, value: Fraction) -> tuple[int, int]:
    places = value.denominator.bit_length() - 1  # the denominator is a power of two, so this many decimals are exact
    digits, power = int(value * 10**places), -places
    more = random.choice([0, 0, 1, 5, 20, 100])
    return digits * 10**more + random.choice([-1, 0, 0, 1]), power - more


def _long(random: Random) -> tuple[int, int]:
    count = random.choice([17, 18, 19, 20, 21, 30, 100, 800])
    return random.randrange(10 ** (count - 1), 10**count), random.randint(-count - 45, 38 - count)


def _extreme(random: Random) -> tuple[int, int]:
    return random.randrange(10 ** random.randint(1, 19)), random.choice([-1, 1]) * random.choice(
        [30, 60, 330, 5000, 10**10]
    )


def _short(random: Random) -> tuple[int, int]:
    return random.randrange(10 ** random.randint(1, 9)), random.randint(-50, 40)


def _written(random: Random, digits: int, power: int) -> str:
    text = str(max(digits, 0))
    if abs(power) <= 200 and random.random() < 0.5:
        text = _in_full(text, power)
    else:
        point = random.randint(0, len(text))
        power += len(text) - point
        text = f"{text[:point]}.{text[point:]}" if point < len(text) or random.random() < 0.5 else text
        text += f"{random.choice('eE')}{random.choice(['', '+']) if power >= 0 else ''}{power}"
    return random.choice(["", "", "-", "+"]) + "0" * random.choice([0, 0, 0, 1, 40]) + text


def _in_full(text: str, power: int) -> str:
    if power >= 0:
        return text + "0" * power
    text = text.rjust(-power, "0")
    return f"{text[:power]}.{text[power:]}"


def _float(bits: int) -> float:
    return float(np.array([bits], np.uint32).view(np.float32)[0])
