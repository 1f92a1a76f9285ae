from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from predictions import model_cards
from predictions.errors import ModelRefused, NonFiniteOutput
from predictions.worker import runtime
from predictions.worker.exported import function_of
from predictions.worker.registration import Described, feature_names, register

WIDTH, CLASSES = 6, 3


class Divides(nn.Module):
    """Not finite for a row of which the first value is 9."""

    ones: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("ones", torch.ones(CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.ones * x[:, 1:2] / (x[:, :1] - 9.0)


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Path) -> Path:
    settings.MODEL_DIR = tmp_path / "models"
    settings.TORCH_THREADS = 1
    return tmp_path


def exported(module: nn.Module, file: Path) -> Path:
    program = torch.export.export(
        module.eval(), (torch.ones(2, WIDTH),), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},)
    )
    torch.export.save(program, file)
    return file


def scripted(module: nn.Module, file: Path) -> Path:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        torch.jit.save(torch.jit.trace(module.eval(), torch.ones(2, WIDTH)), str(file))  # type: ignore[no-untyped-call]
    return file


def a_network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(WIDTH, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, CLASSES)).eval()


def registered(file: Path, name: str = "small") -> model_cards.ModelCard:
    return register(file, Described(name=name, labels=["a", "b", "c"], features=feature_names(WIDTH)))


def some_rows(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, WIDTH)).astype(np.float32)


@pytest.mark.parametrize("n", [1, 2, 64, 4096, 4097])
def test_probabilities_are_the_softmax_of_the_network_at_any_number_of_rows(home: Path, n: int) -> None:
    network, rows = a_network(), some_rows(n)
    model = runtime.load(registered(exported(network, home / "m.pt2")))
    with torch.inference_mode():
        expected = torch.softmax(network(torch.from_numpy(rows)), dim=1).numpy()
    assert model.probabilities(rows).dtype == np.float32
    np.testing.assert_allclose(model.probabilities(rows), expected, atol=1e-6)


def test_torchscript_is_served_too(home: Path) -> None:
    network, rows = a_network(), some_rows(5)
    model = runtime.load(registered(scripted(network, home / "m.pt")))
    with torch.inference_mode():
        expected = torch.softmax(network(torch.from_numpy(rows)), dim=1).numpy()
    np.testing.assert_allclose(model.probabilities(rows), expected, atol=1e-6)


def test_loading_torchscript_warns_of_nothing(home: Path, recwarn: pytest.WarningsRecorder) -> None:
    card = registered(scripted(a_network(), home / "m.pt"))
    recwarn.clear()
    runtime.load(card)
    assert [str(warning.message) for warning in recwarn] == []


def test_no_rows_give_no_probabilities(home: Path) -> None:
    model = runtime.load(registered(exported(a_network(), home / "m.pt2")))
    assert model.probabilities(some_rows(0)).shape == (0, CLASSES)


def test_an_output_that_is_not_finite_is_no_class(home: Path) -> None:
    model = runtime.load(registered(exported(Divides(), home / "m.pt2")))
    rows = np.ones((3, WIDTH), dtype=np.float32)
    rows[1, 0] = 9.0
    with pytest.raises(NonFiniteOutput, match="small@1 is not finite for 1 of 3 rows"):
        model.probabilities(rows)


def test_an_altered_file_is_never_opened(home: Path) -> None:
    card = registered(exported(a_network(), home / "m.pt2"))
    card.path.write_bytes(card.path.read_bytes() + b"\0")
    with pytest.raises(ModelRefused, match="does not match its card"):
        runtime.load(card)


def test_a_file_that_is_not_a_model_is_refused_in_one_sentence(home: Path) -> None:
    (home / "m.pt2").write_bytes(b"not a model")
    with pytest.raises(ModelRefused, match="m.pt2 does not load: "):
        runtime.open_module(home / "m.pt2")


def test_the_device_is_a_gpu_only_where_there_is_one(home: Path) -> None:
    expected = "cuda:0" if torch.cuda.is_available() else "cpu"
    assert runtime.load(registered(exported(a_network(), home / "m.pt2"))).device == expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_model_exported_on_the_cpu_gives_the_same_on_the_gpu(home: Path) -> None:
    rows = np.ones((3, WIDTH), dtype=np.float32)
    model = runtime.load(registered(exported(Divides(), home / "m.pt2")))
    np.testing.assert_allclose(model.probabilities(rows), np.full((3, CLASSES), 1 / CLASSES), atol=1e-6)


def test_the_threads_are_those_of_the_setting(home: Path) -> None:
    runtime.load(registered(exported(a_network(), home / "m.pt2")))
    assert torch.get_num_threads() == 1


def test_the_shelf_loads_once(home: Path) -> None:
    registered(exported(a_network(), home / "m.pt2"))
    shelf = runtime.ModelShelf()
    assert shelf.get("small") is shelf.get("small@1")


def test_the_shelf_keeps_the_four_used_last(home: Path) -> None:
    file = exported(a_network(), home / "m.pt2")
    shelf = runtime.ModelShelf()
    for name in ("a", "b", "c", "d", "a", "e"):
        if not model_cards.versions(name):
            registered(file, name)
        shelf.get(name)
    assert shelf.refs() == ["c@1", "d@1", "a@1", "e@1"]


def test_the_shelf_drops_a_model_whose_card_has_another_hash(home: Path) -> None:
    card = registered(exported(a_network(), home / "m.pt2"))
    shelf = runtime.ModelShelf()
    first = shelf.get("small@1")
    card.path.write_bytes(b"damaged")
    register(
        exported(a_network(seed=1), home / "other.pt2"),
        Described("small", ["a", "b", "c"], feature_names(WIDTH), version=1),
    )
    assert shelf.get("small@1").card.sha256 != first.card.sha256


def test_the_shelf_refuses_a_model_that_is_gone(home: Path) -> None:
    with pytest.raises(ModelRefused, match="'small@1' is not known"):
        runtime.ModelShelf().get("small@1")


def test_a_held_model_whose_file_was_altered_is_refused_until_it_is_restored(home: Path) -> None:
    card = registered(exported(a_network(), home / "m.pt2"))
    shelf, whole = runtime.ModelShelf(), card.path.read_bytes()
    shelf.get("small@1")
    card.path.write_bytes(whole[:-1] + b"?")
    for _ in range(2):
        with pytest.raises(ModelRefused, match="does not match its card"):
            shelf.get("small@1")
    assert shelf.refs() == []
    card.path.write_bytes(whole)
    assert shelf.get("small@1").card == card


def test_a_held_model_whose_file_is_gone_is_refused(home: Path) -> None:
    card = registered(exported(a_network(), home / "m.pt2"))
    shelf = runtime.ModelShelf()
    shelf.get("small@1")
    card.path.rename(home / "away")
    with pytest.raises(ModelRefused, match="cannot be read"):
        shelf.get("small@1")
    (home / "away").rename(card.path)
    assert shelf.get("small@1").card == card


def test_a_file_that_was_only_touched_goes_on_and_is_hashed_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = registered(exported(a_network(), home / "m.pt2"))
    shelf, hashed, sha256_of = runtime.ModelShelf(), list[Path](), model_cards.sha256_of
    held = shelf.get("small@1")
    monkeypatch.setattr(model_cards, "sha256_of", lambda path: hashed.append(path) or sha256_of(path))
    card.path.touch()
    assert [shelf.get("small@1") for _ in range(3)] == [held] * 3 and hashed == [card.path]


class Counts(nn.Module):
    """A program that does more than map rows: it keeps count in a buffer."""

    seen: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))
        self.linear = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.add_(1.0)
        return self.linear(x) + 0.0 * self.seen


@pytest.mark.parametrize("module", [a_network(), Divides(), Counts()])
def test_an_exported_program_called_without_its_module_gives_the_same(home: Path, module: nn.Module) -> None:
    program, rows = torch.export.load(exported(module, home / "m.pt2")), torch.from_numpy(some_rows(7))
    with torch.inference_mode():
        torch.testing.assert_close(function_of(program)(rows), module(rows))
