"""The sha256 of a job's files that lie in parts: read once by a thread of its own, told when it is known."""

from __future__ import annotations

import hashlib
import logging
import queue
from collections import OrderedDict
from functools import partial
from uuid import UUID

from django.db import Error, connection, transaction

from predictions.downloads import Download
from predictions.live import say
from predictions.models import Job
from predictions.own_thread import OwnThread

log = logging.getLogger(__name__)
KEPT = 1_000


class Digests:
    """Of the files that never change again. A result's own is kept in the job's row as well, for all processes and for good."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, str] = OrderedDict()
        self._asked: set[str] = set()
        self._waiting: queue.SimpleQueue[tuple[UUID, Download, bool]] = queue.SimpleQueue()
        self._thread = OwnThread(self._run, "digests")

    def of(self, job: Job, file: Download, is_result: bool = False) -> str:
        """ "" where it is not known yet: once it is, the job's page is told that it has changed."""
        known = file.sha256 or self._known.get(file.etag, "")
        if not known and file.etag not in self._asked:
            self._asked.add(file.etag)
            # Nobody computes what a transaction may yet take back.
            transaction.on_commit(partial(self._ask, job.pk, file, is_result))
        return known

    def _ask(self, job_id: UUID, file: Download, is_result: bool) -> None:
        self._waiting.put((job_id, file, is_result))
        self._thread.start()

    def _run(self) -> None:
        while True:
            job_id, file, is_result = self._waiting.get()
            try:
                self._compute(job_id, file, is_result)
            except (OSError, Error) as error:  # the next who looks at the page asks again
                log.warning("The sha256 of %s was not computed: %s", file.name, error)
                connection.close()
            self._asked.discard(file.etag)

    def _compute(self, job_id: UUID, file: Download, is_result: bool) -> None:
        digest = hashlib.sha256()
        for block in file.blocks():
            digest.update(block)
        self._known[file.etag] = digest.hexdigest()
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        kept = {"result_sha256": digest.hexdigest()} if is_result else {}
        Job.objects.filter(pk=job_id, expires__isnull=False).change(**kept)
        say.jobs_changed([job_id])


_digests = Digests()
of = _digests.of
