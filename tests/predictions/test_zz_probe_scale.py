import time, psutil, pytest, collections
from predictions import workers, broker
from predictions.models import Job, State, Chunk
from tests.predictions.jobs import submit_digit, submit_large
from tests.processes import eventually
from tests import processes
from tests.surroundings import DATA_DIR
from pathlib import Path
pytestmark = [pytest.mark.django_db(transaction=True)]
def test_probe(a_worker, user, digits):
    worker = a_worker("realtime,batch", "--pool=prefork", "--autoscale=8,2", env={"AUTOSCALE_KEEPALIVE": "3"})
    submit_large(user, digits, thousands=30, parts=6)
    for _ in range(300): submit_digit(user, digits)
    t=time.time()
    while time.time()-t<100:
        c=collections.Counter(Job.objects.values_list("kind","state","attempt","crashes")); 
        print(round(time.time()-t,1), len(psutil.Process(worker.pid).children()), dict(c), {k:(d.waiting,d.unacked) for k,d in broker.depths().items()}, Counter(Chunk.objects.values_list("state","attempt","crashes")) if False else collections.Counter(Chunk.objects.values_list("state","attempt","crashes")), flush=True)
        if time.time()-t > 30 and not Job.objects.exclude(state="succeeded").exists(): break
        time.sleep(3)
    for f in Path(DATA_DIR).glob("realtime*.log"): print(f.read_text()[-6000:])
    time.sleep(1)
