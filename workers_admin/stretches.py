"""What is known of one stretch of time; two that follow each other add up to one that is longer."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from workers_admin.histograms import from_json, merge, to_json
from workers_admin.models import Sample

GAUGES = ("waiting", "unacked", "unpublished", "missing", "running", "oldest_wait_s", "workers")
COUNTS = ("submitted", "succeeded", "failed", "revoked")
HISTOGRAMS = ("waits", "runs", "micro_batches")
Gauges = dict[str, float | None]


@dataclass
class Stretch:
    """gauges: how it stood, None where nobody could tell; counts: jobs; histograms: as `Sample` has them."""

    gauges: Gauges = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    histograms: dict[str, dict[int, int]] = field(default_factory=lambda: {name: {} for name in HISTOGRAMS})

    def add(self, other: Stretch) -> None:
        """What was counted adds up; of what stood, the most that was seen remains, so that a short peak is not lost."""
        for name, value in other.gauges.items():
            known = [each for each in (self.gauges.get(name), value) if each is not None]
            self.gauges[name] = max(known, default=None)
        self.counts.update(other.counts)
        for name, histogram in other.histograms.items():
            merge(self.histograms[name], histogram)

    def count(self, histogram: str, key: int) -> None:
        counted = self.histograms[histogram]
        counted[key] = counted.get(key, 0) + 1

    def as_sample(self, every_s: int, at: int, queue: str, model: str) -> Sample:
        counted = {name: self.counts[name] for name in COUNTS}
        histograms = {name: to_json(self.histograms[name]) for name in HISTOGRAMS}
        return Sample(every_s=every_s, at=at, queue=queue, model=model, **self.gauges, **counted, **histograms)


def stretch_of(sample: Sample) -> Stretch:
    return Stretch(
        {name: getattr(sample, name) for name in GAUGES},
        Counter({name: getattr(sample, name) for name in COUNTS}),
        {name: from_json(getattr(sample, name)) for name in HISTOGRAMS},
    )
