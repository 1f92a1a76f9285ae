import os

import torch
from celery import Celery
from celery.signals import worker_process_init

app = Celery("inference")
app.conf.update(
    broker_url=f"redis://localhost:{os.environ['REDIS_PORT']}/0",
    result_backend=f"redis://localhost:{os.environ['REDIS_PORT']}/1",
    task_serializer="json",
    result_serializer="json",
    accept_content=["json"],
    task_track_started=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    result_expires=3600,
)

model = None
device = None


@worker_process_init.connect
def load_model(**kwargs):
    global model, device
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = torch.jit.load("model_scripted.pt", map_location=device)
    model.eval()
    print(f"Model loaded on {device}")


@app.task(bind=True, max_retries=2, default_retry_delay=5)
def predict(self, input_data: list[float]) -> dict:
    """Run inference on a single input and return the prediction."""
    try:
        tensor = torch.tensor([input_data], dtype=torch.float32).to(device)
        with torch.no_grad():
            output = model(tensor)
        probabilities = torch.softmax(output, dim=1)
        predicted_class = torch.argmax(probabilities, dim=1).item()
        confidence = probabilities[0][predicted_class].item()
        return {
            "class": predicted_class,
            "confidence": round(confidence, 4),
            "device": str(device),
        }
    except RuntimeError as exc:
        raise self.retry(exc=exc)


from kombu import Queue

app.conf.update(
    task_queues=(
        Queue("realtime", routing_key="realtime", queue_arguments={"x-max-priority": 10}),
        Queue("batch", routing_key="batch", queue_arguments={"x-max-priority": 5}),
        Queue("default", routing_key="default"),
    ),
    task_default_queue="default",
    task_default_routing_key="default",
    task_routes={
        "celery_app.predict": {"queue": "realtime"},
        "celery_app.batch_predict": {"queue": "batch"},
    },
)


@app.task(bind=True, max_retries=1)
def batch_predict(self, input_batch: list[list[float]]) -> list[dict]:
    """Run inference on a batch of inputs."""
    try:
        tensor = torch.tensor(input_batch, dtype=torch.float32).to(device)
        with torch.no_grad():
            output = model(tensor)
        probabilities = torch.softmax(output, dim=1)
        predicted_classes = torch.argmax(probabilities, dim=1).tolist()
        confidences = probabilities.max(dim=1).values.tolist()
        return [
            {"class": cls, "confidence": round(conf, 4)}
            for cls, conf in zip(predicted_classes, confidences)
        ]
    except RuntimeError as exc:
        raise self.retry(exc=exc)
