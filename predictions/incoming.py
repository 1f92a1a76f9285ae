"""The content of a file on its way into storage, a block at a time; asks the database for nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from django.conf import settings

from predictions import intakes, table_kinds
from predictions.intakes import Intake
from predictions.kept_parts import KeptBehind, KeptParts
from predictions.model_cards import ModelCard
from predictions.models import Upload
from predictions.parts import Plan


class Incoming:
    """Feed it blocks, then close it. Both raise Refused as soon as the file shows its fault."""

    def __init__(
        self, upload: Upload, card: ModelCard, kind: str | None, mapping: Mapping[str, str] | None, may_map: bool
    ) -> None:
        """kind: None where the first bytes are to tell it. mapping, may_map: as judge_first_line takes them."""
        self.upload = upload
        self._card = card
        self._kind = kind
        self._mapping = mapping
        self._may_map = may_map
        self._digest = hashlib.sha256()
        self._arrived_bytes = 0
        self._beginning = b""
        self._intake: Intake | None = None
        self._kept: KeptParts | None = None
        self._put: KeptBehind | None = None

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    @property
    def size_bytes(self) -> int:
        """The larger of what arrived and what is stored: a table may be packed while it is sent."""
        return max(self._arrived_bytes, self._kept.stored_bytes if self._kept else 0)

    def feed(self, block: bytes) -> None:
        self._arrived_bytes += len(block)
        self._digest.update(block)
        if self._intake is None:
            self._beginning += block
            if self._kind is None and len(self._beginning) < table_kinds.TOLD_BY_BYTES:
                return
            self._begin()
        else:
            self._intake.feed(block)

    def close(self) -> Plan:
        plan = (self._intake or self._begin()).close()
        if self._put:
            self._put.finish()
        return plan

    def abandon(self) -> None:
        """Nothing of it is written any more."""
        if self._put:
            self._put.abandon()

    def _begin(self) -> Intake:
        beginning, self._beginning = self._beginning, b""
        self._intake = self._intake_of(self._kind or table_kinds.kind_of(beginning))
        self._intake.feed(beginning)
        return self._intake

    def _intake_of(self, kind: str) -> Intake:
        self._kept = KeptParts(self.upload, intakes.FORMATS[kind])
        put = self._put = KeptBehind(self._kept)
        most = settings.MAX_UPLOAD_BYTES
        return intakes.ingest_for(kind, self._card, put, most, mapping=self._mapping, may_map=self._may_map)
