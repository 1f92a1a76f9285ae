"""What may be wrong is judged by `Facts`; what is wrong is a `Condition`, one line of the console's strip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from predictions.workers import Node
from workers_admin.depths import QueueDepth
from workers_admin.redis_look import RedisLook
from workers_admin.scaler_cards import ScalerCard
from workers_admin.surroundings import Disk
from workers_admin.trends import Point
from workers_admin.worker_cards import anchor


@dataclass(frozen=True)
class Facts:
    """steward_age_s: None, it never ran. missing_for_s: by queue, where any is missing. redis_error: it does not answer.

    commit_s, read_s: what a commit of the steward and a look of this process take at least. wait_targets_s: by queue.
    """

    depths: Sequence[QueueDepth]
    nodes: Sequence[Node]
    steward_age_s: float | None
    redis_address: str = ""
    redis_error: str = ""
    redis: RedisLook = field(default_factory=RedisLook)
    missing_for_s: dict[str, float] = field(default_factory=dict)
    trends: Mapping[str, Sequence[Point]] = field(default_factory=dict)
    wait_targets_s: Mapping[str, float] = field(default_factory=dict)
    disks: Sequence[Disk] = ()
    disk_free_share: float = 0.0
    commit_s: float | None = None
    read_s: float | None = None
    database: str = ""
    scalers: Sequence[ScalerCard] = ()


@dataclass(frozen=True)
class Condition:
    """One line of the strip. command: what to type; href: where to go; step: says which of them; key tells lines apart.

    since: when a steward first noted it; None where none has yet.
    """

    key: str
    words: str
    command: str = ""
    href: str = ""
    step: str = ""
    is_bad: bool = True
    since: datetime | None = None

    @property
    def anchor(self) -> str:
        return anchor(self.key)
