import cProfile, pstats, time
import pytest
from django.db import connection, close_old_connections
from predictions.models import Job, Kind, utc_now
from predictions.consumers import JobScreen, SubmitScreen, ListScreen
pytestmark = pytest.mark.django_db(transaction=True)

def test_prof(user, digits):
    jobs = [Job.objects.create(owner=user, kind=Kind.REALTIME, model="digits@1", queue="realtime", priority=9, vector=[0.0]*64, created=utc_now()) for _ in range(50)]
    for name, screen in {"job": JobScreen(user, {}, jobs[3].pk), "json": JobScreen(user, {"format": "json"}, jobs[3].pk), "submit": SubmitScreen(user, {}), "list": ListScreen(user, {})}.items():
        screen.first()
        for close in (False, True):
            t = time.perf_counter()
            for _ in range(20):
                screen.first()
                if close: connection.close()
            print(name, "closing" if close else "", round((time.perf_counter() - t) / 20 * 1000, 2), "ms")
    s = JobScreen(user, {}, jobs[3].pk)
    p = cProfile.Profile(); p.enable()
    for _ in range(50): s.first()
    p.disable()
    pstats.Stats(p).sort_stats("cumtime").print_stats(45)
