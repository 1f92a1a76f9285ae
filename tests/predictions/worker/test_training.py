from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from predictions import model_cards
from predictions.errors import ModelRefused
from predictions.worker import runtime, training


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Path) -> Path:
    settings.MODEL_DIR = tmp_path
    settings.TORCH_THREADS = 1
    return tmp_path


def test_the_data_are_1797_digits_of_64_pixels_from_0_to_16() -> None:
    names, rows = training.read_digits()
    assert names[0] == "pixel_0_0" and names[9] == "pixel_1_1" and names[63] == "pixel_7_7" and len(names) == 64
    assert rows.pixels.shape == (1797, 64)
    assert (float(rows.pixels.min()), float(rows.pixels.max())) == (0, 16)
    assert sorted(set(rows.digits.tolist())) == list(range(10))


def test_the_same_seed_gives_the_same_predictions(settings: Any, home: Path) -> None:
    pixels = training.read_digits()[1].pixels.numpy()
    first = runtime.load(training.train()).probabilities(pixels)
    settings.MODEL_DIR = home / "again"
    np.testing.assert_array_equal(runtime.load(training.train()).probabilities(pixels), first)


def test_the_command_trains_a_model_that_is_right_for_0_96_of_what_it_has_not_seen(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("train_demo_model")
    card = model_cards.card("digits@1")
    assert card.metrics["accuracy"] >= 0.96 and card.metrics["held_out"] == 599
    assert f"digits@1 is right for {card.metrics['accuracy']} of the 599 rows" in capsys.readouterr().out
    assert [example["label"] for example in card.examples] == list(card.labels)
    assert card.picture == {"kind": "image", "rows": 8, "columns": 8, "low": 0, "high": 16}


def test_a_second_call_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("train_demo_model")
    before = model_cards.card("digits@1").path.stat()
    call_command("train_demo_model")
    assert model_cards.card("digits@1").path.stat() == before
    assert "It is there already." in capsys.readouterr().out


def test_a_damaged_model_is_trained_again(home: Path) -> None:
    call_command("train_demo_model")
    model_cards.card("digits@1").path.write_bytes(b"damaged")
    call_command("train_demo_model")
    model_cards.verify(model_cards.card("digits@1"))
    assert [path.name for path in (home / "digits").iterdir()] == ["1"]


def test_a_model_that_is_too_often_wrong_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "EPOCHS", 0)
    with pytest.raises(CommandError, match="held-out rows; at least 0.96 is asked"):
        call_command("train_demo_model")
    assert model_cards.cards() == []


def test_training_says_why_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "EPOCHS", 0)
    with pytest.raises(ModelRefused, match="The demo model is right for 0"):
        training.train()
