"""What a task came to, written and read again."""

from __future__ import annotations

import json

from raytrain.errors import Failure
from raytrain.run.run_id import parse_submission_id, task_submission_id
from raytrain.run.task_result import Evaluation, Prediction, read_result, result_text
from raytrain.spec.job import JobSpec
from raytrain.spec.request import JobRequest
from raytrain.spec.task_requests import EvaluateRequest, PredictRequest, parse_request


def test_results_are_read_as_they_were_written() -> None:
    evaluation = Evaluation(run="a", data="test", rows=3, workers=1, batch_size=2, metrics={"loss": 0.5})
    prediction = Prediction(run="a", output="b.csv", rows=3, classes={"y": ["no", "yes"]})
    failure = Failure(kind="UserCodeError", message="row 3 fails", file="x.csv")
    for result in (evaluation, prediction, failure):
        assert read_result(result_text(result)) == result


def test_what_json_has_not_is_null_and_what_is_new_is_left_out() -> None:
    evaluation = Evaluation(run="a", data="test", rows=3, workers=1, batch_size=2, metrics={"loss": float("nan")})
    body = json.loads(result_text(evaluation))
    assert body["metrics"] == {"loss": None}
    again = read_result(json.dumps(body | {"of_a_later_version": 1}))
    assert isinstance(again, Evaluation) and again.metrics == {"loss": None}


def test_a_request_says_its_task_and_an_earlier_one_trains() -> None:
    source = {"csv": "x.csv"}
    evaluate = EvaluateRequest(run="a", moment="now", storage="/runs")
    predict = PredictRequest.model_validate(
        {"run": "a", "moment": "now", "storage": "/runs", "input": source, "output": "/out"}
    )
    spec = JobSpec.model_validate(
        {
            "name": "a",
            "model": {"layers": [{"Dense": {"units": 1}}]},
            "compile": {"loss": "mse"},
            "data": {"train": source, "features": "x"},
        }
    )
    train = JobRequest(run="a", attempt=1, submitted_at=0.0, spec=spec, storage="/runs")
    for request in (evaluate, predict, train):
        assert parse_request(request.model_dump_json()) == request
    earlier = json.loads(train.model_dump_json())
    del earlier["task"]
    assert parse_request(json.dumps(earlier)) == train


def test_a_tasks_job_is_no_attempt_of_the_run() -> None:
    name = task_submission_id("digits-20261120-0715-4f2a", "predict", "20261120-071502-4f2a")
    assert parse_submission_id(name) == (name, 1)
