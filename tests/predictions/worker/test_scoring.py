from __future__ import annotations

import csv
import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from django.test import override_settings

from predictions.worker import runtime, scoring, training
from predictions.worker.scoring import Scores


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The demo model, trained once for this file."""
    with override_settings(MODEL_DIR=tmp_path_factory.mktemp("models"), TORCH_THREADS=1):
        yield runtime.load(training.train())


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    rows: np.ndarray = training.read_digits()[1].pixels.numpy()
    return rows


def plain_softmax(digits: runtime.Model, pixels: np.ndarray) -> torch.Tensor:
    program = torch.export.load(digits.card.path)
    with torch.inference_mode():
        return torch.softmax(program.module()(torch.from_numpy(pixels).clone()), dim=1).cpu()


def scored(model: Any, x: np.ndarray, first_row: int = 1) -> Scores:
    return scoring.score_rows(model, x, np.arange(first_row, first_row + len(x)))


def read(lines: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(lines.decode(), newline="")))


def test_all_1797_rows_agree_with_a_plain_softmax_and_argmax(digits: runtime.Model, pixels: np.ndarray) -> None:
    expected, scores = plain_softmax(digits, pixels).max(dim=1), scored(digits, pixels)
    assert len(scores.classes) == 1797
    np.testing.assert_array_equal(scores.classes, expected.indices.numpy())
    np.testing.assert_allclose(scores.confidences, expected.values.numpy(), atol=1e-6)


def test_one_by_one_and_all_together_give_the_same_class(digits: runtime.Model, pixels: np.ndarray) -> None:
    together = scored(digits, pixels).classes.tolist()
    assert [scoring.predict_one(digits, row)["class"] for row in pixels.tolist()] == together


def of_odd_width(module: torch.nn.Module) -> runtime.Model:
    """30 values a row and two classes: the rows do not all begin at an address that a processor likes."""
    card: Any = SimpleNamespace(ref="odd@1", labels=("no", "yes"), width=30)
    return runtime.Model(card, module, torch.device("cpu"))


@pytest.mark.parametrize("seed", range(5))
def test_the_bits_of_a_row_do_not_depend_on_how_the_file_was_cut(seed: int) -> None:
    torch.manual_seed(seed)
    model, random = of_odd_width(torch.nn.Linear(30, 2)), np.random.default_rng(seed)
    x = random.normal(size=(2_000, 30)).astype(np.float32)
    cuts = np.sort(random.choice(2_000, size=20, replace=False))
    starts = [0, *cuts[:-1].tolist()]
    pieces = [scored(model, x[start:end], start + 1) for start, end in zip(starts, cuts, strict=True)]
    together = np.concatenate([piece.confidences for piece in pieces])
    assert together.tobytes() == scored(model, x).confidences[: len(together)].tobytes()


def test_rows_that_are_left_out_change_nothing_of_the_others() -> None:
    torch.manual_seed(0)
    model = of_odd_width(torch.nn.Linear(30, 2))
    x = np.random.default_rng(0).normal(size=(1_000, 30)).astype(np.float32)
    good = np.flatnonzero(np.arange(1_000) % 7)
    left = scoring.score_rows(model, x[good], good + 1)
    assert left.confidences.tobytes() == scored(model, x).confidences[good].tobytes()


def test_a_model_without_an_answer_for_zeros_is_asked_for_none() -> None:
    model = of_odd_width(torch.nn.Sequential(torch.nn.Linear(30, 2)))
    divides = of_odd_width(lambda rows: model._module(rows / rows.norm(dim=1, keepdim=True)))  # type: ignore[arg-type]
    assert len(scored(divides, np.ones((3, 30), np.float32)).classes) == 3


def test_a_prediction_has_the_shape_of_the_contract(digits: runtime.Model) -> None:
    example = digits.card.examples[3]
    prediction = scoring.predict_one(digits, example["vector"])
    assert list(prediction) == ["class", "label", "confidence", "device", "top"]
    assert prediction["class"] == 3 and prediction["label"] == "3" and prediction["device"] == digits.device
    assert prediction["confidence"] == round(prediction["confidence"], 4)


def test_the_top_is_the_five_best_in_order(digits: runtime.Model, pixels: np.ndarray) -> None:
    expected = plain_softmax(digits, pixels[:50]).topk(5, dim=1)
    for prediction, classes in zip(scoring.predict(digits, pixels[:50]), expected.indices.tolist(), strict=True):
        assert [each["class"] for each in prediction["top"]] == classes
        assert prediction["top"][0] == {key: prediction[key] for key in ("class", "label", "confidence")}


def test_confidences_are_rounded_as_python_rounds(digits: runtime.Model) -> None:
    values = np.concatenate(
        [
            np.random.default_rng(0).random(20_000, dtype=np.float32),
            np.array([0, 1, 0.5, 0.03125, 0.99995], dtype=np.float32),
        ]
    )
    lines = read(
        scoring.format_lines(np.arange(len(values)), None, Scores(np.zeros(len(values), np.int64), values), ("a",))
    )
    assert [line[3] for line in lines] == [f"{value:.4f}" for value in values.tolist()]


def test_lines_are_row_id_class_label_and_confidence() -> None:
    scores = Scores(np.array([1, 0]), np.array([0.98715, 1.0], dtype=np.float32))
    assert (
        scoring.format_lines(np.array([7, 8]), ["x", "y"], scores, ("no", "yes"))
        == b"7,x,1,yes,0.9872\n8,y,0,no,1.0000\n"
    )
    assert scoring.format_lines(np.array([7, 8]), None, scores, ("no", "yes")) == b"7,1,yes,0.9872\n8,0,no,1.0000\n"
    assert scoring.header_line(has_ids=True) == b"row,id,class,label,confidence\n"


def test_no_rows_are_no_lines() -> None:
    none = Scores(np.array([], dtype=np.int64), np.array([], dtype=np.float32))
    assert scoring.format_lines(np.array([], dtype=np.int64), [], none, ("a",)) == b""


@pytest.mark.parametrize(
    ("given", "read_back"),
    [
        ("plain", "plain"),
        ("", ""),
        ("a,b", "a,b"),
        ('say "x"', 'say "x"'),
        ("two\nlines", "two\nlines"),
        ("é ü 数", "é ü 数"),
        ("-12.5e3", "-12.5e3"),
        ("+7", "+7"),
        ("-.5", "-.5"),
        ("=1+1", "'=1+1"),
        ("-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+7\n=1", "'+7\n=1"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ('=HYPERLINK("a","b")', '\'=HYPERLINK("a","b")'),
        ("-inf", "'-inf"),
    ],
)
def test_a_cell_reads_back_as_given_and_never_runs_as_a_formula(given: str, read_back: str) -> None:
    scores = Scores(np.array([0]), np.array([0.5], dtype=np.float32))
    assert read(scoring.format_lines(np.array([1]), [given], scores, (given or "none",))) == [
        ["1", read_back, "0", read_back or "none", "0.5000"]
    ]
