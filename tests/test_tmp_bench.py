import asyncio, json, time, os
import pytest, psutil
from websockets.asyncio.client import connect
from predictions.live import say
from predictions.models import Job, Kind, utc_now
from tests.test_sockets_process import in_thread, session_of, socket_of
pytestmark = pytest.mark.django_db(transaction=True)

def bump(ids, n):
    Job.objects.filter(pk__in=ids).change(attempt=n, state=["queued", "running"][n % 2])
    t = time.monotonic()
    say.jobs_changed(ids)
    return t

@pytest.mark.parametrize("mode", ["job", "list", "submit", "jsonjob"])
async def test_bench(web, user, digits, mode):
    N = 50
    def mk():
        return [Job.objects.create(owner=user, kind=Kind.REALTIME, model="digits@1", queue="realtime", priority=9, vector=[0.0]*64, created=utc_now()) for _ in range(N)]
    jobs = await in_thread(mk)
    headers = await in_thread(session_of, user)
    path = {"job": "/ws/jobs/%s/", "list": "/ws/jobs/?view=list", "submit": "/ws/jobs/?view=submit", "jsonjob": "/ws/jobs/%s/?format=json"}[mode]
    (server,) = [c for c in psutil.Process().children() if "uvicorn" in c.cmdline()]
    socks = [await connect(socket_of(web, path % j.pk if "%" in path else path), additional_headers=headers, origin=web) for j in jobs]
    lat = []
    sent_at = {"t": 0.0}
    sizes = []
    async def reader(s):
        async for m in s:
            if sent_at["t"]:
                lat.append(time.monotonic() - sent_at["t"]); sizes.append(len(m))
    tasks = [asyncio.create_task(reader(s)) for s in socks]
    await asyncio.sleep(4)
    cpu0 = sum(server.cpu_times()[:2]); t0 = time.monotonic()
    await asyncio.sleep(5)
    idle = (sum(server.cpu_times()[:2]) - cpu0) / 5
    cpu0 = sum(server.cpu_times()[:2])
    R = 40
    for n in range(1, R + 1):
        sent_at["t"] = await in_thread(bump, [jobs[n % N].pk], n)
        await asyncio.sleep(0.3)
    cpu = (sum(server.cpu_times()[:2]) - cpu0) / R
    lat.sort()
    print(mode, "sockets", N, "msgs", len(lat), "p50 %.0f p90 %.0f p99 %.0f max %.0f ms" % tuple(1000*lat[min(len(lat)-1, int(len(lat)*p))] for p in (.5,.9,.99,1)), "bytes", sum(sizes)//max(1,len(sizes)), "cpu/change ms %.1f" % (cpu*1000), "idle cpu %.0f%%" % (idle*100), "rss MB", server.memory_info().rss >> 20)
    for t in tasks: t.cancel()
    for s in socks: await s.close()
