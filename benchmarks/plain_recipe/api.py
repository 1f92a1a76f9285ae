from fastapi import FastAPI
from celery.result import AsyncResult
from celery_app import predict

api = FastAPI()


@api.post("/predict")
def submit_prediction(input_data: list[float]):
    task = predict.delay(input_data)
    return {"task_id": task.id}


@api.get("/result/{task_id}")
def get_result(task_id: str):
    result = AsyncResult(task_id)
    if result.ready():
        return {"status": "completed", "result": result.get()}
    return {"status": result.state}


# Not in the recipe, whose GET /result answers 500 for every id: AsyncResult(task_id) asks the current app, which is
# another one in FastAPI's threads. The same body, asked of the task.
@api.get("/fixed/{task_id}")
def get_result_fixed(task_id: str):
    result = predict.AsyncResult(task_id)
    if result.ready():
        return {"status": "completed", "result": result.get()}
    return {"status": result.state}
