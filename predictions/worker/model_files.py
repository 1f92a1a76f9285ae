"""Whether a model's file is still the one that was verified: one stat a task, the hash again where that differs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from predictions import model_cards
from predictions.errors import ModelRefused
from predictions.model_cards import ModelCard

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True)
class Seen:
    """A file as it was hashed for a card. fault: the sentence, where it was not the card's."""

    stamp: Stamp | None
    sha256: str
    fault: str = ""


class VerifiedFiles:
    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}

    def check(self, card: ModelCard) -> None:
        """Raise ModelRefused unless the file is the card's, byte for byte."""
        stamp = _stamp(card.path)
        seen = self._seen.get(card.ref)
        if stamp is None or seen is None or (seen.stamp, seen.sha256) != (stamp, card.sha256):
            # The stamp is older than the hash: what is written meanwhile is hashed next time.
            seen = self._seen[card.ref] = Seen(stamp, card.sha256, _fault(card))
        if seen.fault:
            raise ModelRefused(seen.fault)


def _fault(card: ModelCard) -> str:
    try:
        model_cards.verify(card)
    except ModelRefused as refused:
        if isinstance(refused.__cause__, OSError):  # it could not be read, which may pass: asked again
            raise
        return str(refused)
    return ""


def _stamp(path: Path) -> Stamp | None:
    """Size, times and inode. The time of change is in it, as nobody can set that back."""
    try:
        at = path.stat()
    except OSError:
        return None
    return at.st_size, at.st_mtime_ns, at.st_ctime_ns, at.st_ino
