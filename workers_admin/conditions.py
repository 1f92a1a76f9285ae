"""What is wrong now, and what to do about it: pure functions over the facts, put in order."""

from __future__ import annotations

from workers_admin import wrong_around, wrong_at_work
from workers_admin.condition import Condition, Facts
from workers_admin.wrong_at_work import MISSING, MISSING_AFTER_S

__all__ = ["MISSING", "MISSING_AFTER_S", "Condition", "Facts", "conditions"]
JUDGES = (
    wrong_around.redis_silent,
    wrong_around.redis_may_evict,
    wrong_around.redis_nearly_full,
    wrong_around.disk_nearly_full,
    wrong_around.database_slow,
    wrong_around.steward_silent,
    wrong_at_work.without_consumer,
    wrong_at_work.workers_gone,
    wrong_at_work.models_failed,
    wrong_at_work.scalers_silent,
    wrong_at_work.failing,
    wrong_at_work.missing,
    wrong_at_work.waiting_long,
    wrong_at_work.growing,
)


def conditions(facts: Facts) -> list[Condition]:
    """The worst first; empty when all is well."""
    return [condition for judge in JUDGES for condition in judge(facts)]
