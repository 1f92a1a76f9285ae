from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from django.core.management import CommandError, call_command
from django.db import OperationalError
from torch import nn

from predictions import model_cards
from predictions.audit import Audit

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Path) -> Path:
    settings.MODEL_DIR = tmp_path / "models"
    settings.TORCH_THREADS = 1
    return tmp_path


class Logarithm(nn.Module):
    """Not finite for what is not above 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - 5.0).log()[:, :2]


def a_file(home: Path, module: nn.Module | None = None, batch: int | None = None) -> Path:
    dynamic = ({0: torch.export.Dim("batch", min=1)},) if batch is None else None
    program = torch.export.export(
        (module or nn.Linear(4, 2)).eval(), (torch.ones(batch or 2, 4),), dynamic_shapes=dynamic
    )
    torch.export.save(program, home / "m.pt2")
    return home / "m.pt2"


def register(file: Path, *more: str, labels: str = "no,yes", width: str = "4") -> None:
    call_command("register_model", str(file), "--name", "small", "--labels", labels, "--width", width, *more)


def test_a_file_that_works_is_listed_with_its_card(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = a_file(home)
    register(file)
    card = model_cards.card("small")
    assert (card.ref, card.width, card.labels, card.features) == ("small@1", 4, ("no", "yes"), ("f0", "f1", "f2", "f3"))
    assert card.path.read_bytes() == file.read_bytes()
    model_cards.verify(card)
    assert f"small@1 is registered: 4 values in, 2 classes out, sha256 {card.sha256}." in capsys.readouterr().out


def test_a_registration_is_audited(home: Path) -> None:
    register(a_file(home))
    entry = Audit.objects.get()
    assert (entry.action, entry.subject) == ("register model", "model small@1")
    assert entry.after == {"sha256": model_cards.card("small").sha256, "width": 4, "labels": 2}


def test_where_there_is_no_database_the_model_is_registered_and_that_is_said(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(*_: Any, **__: Any) -> None:
        raise OperationalError("no such table: predictions_audit")

    monkeypatch.setattr(Audit.objects, "create", absent)
    register(a_file(home))
    assert model_cards.card("small") and "could not be noted in the audit: no such table" in capsys.readouterr().err


def test_labels_and_features_may_be_files_and_a_picture_json(home: Path) -> None:
    (home / "labels.txt").write_text("no, thanks\nyes\n")
    picture = {"kind": "image", "rows": 2, "columns": 2, "low": 0, "high": 1}
    register(a_file(home), "--features", "a,b,c,d", "--picture", json.dumps(picture), labels=str(home / "labels.txt"))
    card = model_cards.card("small")
    assert (card.labels, card.features, card.picture) == (("no, thanks", "yes"), ("a", "b", "c", "d"), picture)


def test_the_next_version_is_taken_and_an_older_one_stays(home: Path) -> None:
    file = a_file(home)
    register(file)
    register(file)
    register(file, "--version", "7")
    register(file)
    assert [card.version for card in model_cards.cards()] == [8, 7, 2, 1]


def test_a_version_that_works_is_never_replaced(home: Path) -> None:
    file = a_file(home)
    register(file)
    with pytest.raises(CommandError, match="small@1 is registered already; leave the version out to get small@2"):
        register(file, "--version", "1")


def test_a_version_whose_file_is_damaged_may_be_registered_again(home: Path) -> None:
    file = a_file(home)
    register(file)
    model_cards.card("small").path.write_bytes(b"damaged")
    register(file, "--version", "1")
    model_cards.verify(model_cards.card("small@1"))


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"labels": "a,b,c"}, r"^small@1 gives \(1, 2\) for 1 rows; its 3 labels call for \(1, 3\)"),
        ({"width": "5"}, "small@1 does not take 1 x 5 values as float32"),
        ({"width": "0"}, "width is 0; a whole number from 1 is allowed"),
        ({"labels": "a,a"}, "labels is"),
    ],
)
def test_a_file_that_does_not_fit_its_description_is_refused(home: Path, how: dict[str, str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        register(a_file(home), **how)
    assert model_cards.cards() == [] and model_cards.faults() == []


def test_a_fixed_batch_is_refused(home: Path) -> None:
    with pytest.raises(CommandError, match="does not take 1 x 4 values"):
        register(a_file(home, batch=3))


def test_an_output_that_is_not_finite_is_refused(home: Path) -> None:
    with pytest.raises(CommandError, match="is not finite for 1 of 1 rows"):
        register(a_file(home, Logarithm()))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--features", "a,b,c"], "--width is 4 and --features names 3"),
        (["--version", "0"], "version is 0; a whole number from 1"),
        (["--picture", "{"], "'{' is not JSON"),
        (["--picture", '{"kind": "sound"}'], "picture is"),
        (["--name", "../up"], "name is"),
    ],
)
def test_a_description_that_is_wrong_is_refused(home: Path, more: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        register(a_file(home), *more)


def test_neither_width_nor_features_is_refused(home: Path) -> None:
    with pytest.raises(CommandError, match="Neither --features nor --width is given"):
        call_command("register_model", str(a_file(home)), "--name", "small", "--labels", "no,yes")


@pytest.mark.parametrize("name", ["model.bin", "absent.pt2"])
def test_what_is_no_model_file_is_refused(home: Path, name: str) -> None:
    (home / "model.bin").write_bytes(b"x")
    with pytest.raises(CommandError, match="is not a model; an existing file that ends in .pt2"):
        register(home / name)


def test_a_file_of_another_kind_under_the_right_name_is_refused(home: Path) -> None:
    (home / "m.pt").write_bytes(b"not a model")
    with pytest.raises(CommandError, match="m.pt does not load"):
        register(home / "m.pt")
