from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from predictions import model_cards
from predictions.errors import ModelRefused, UnknownModel

BYTES = b"a model's bytes"


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Path) -> Path:
    settings.MODEL_DIR = tmp_path
    settings.DEFAULT_MODEL = "digits"
    return tmp_path


def body(name: str = "digits", version: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "version": version,
        "width": 4,
        "labels": ["no", "yes"],
        "features": ["a", "b", "c", "d"],
        "picture": {"kind": "image", "rows": 2, "columns": 2, "low": 0, "high": 16},
        "examples": [{"label": "yes", "vector": [0, 1, 2.5, 3]}],
        "sha256": hashlib.sha256(BYTES).hexdigest(),
        "file": "model.pt2",
        "size_bytes": len(BYTES),
        "metrics": {"accuracy": 0.98},
        "created": "2026-01-31T12:00:00Z",
    } | changes


def put_card(home: Path, card: dict[str, Any] | str, name: str = "digits", version: int = 1) -> Path:
    folder = home / name / str(version)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.pt2").write_bytes(BYTES)
    (folder / "card.json").write_text(card if isinstance(card, str) else json.dumps(card))
    return folder


def test_a_card_is_found_by_name_by_ref_and_as_the_default(home: Path) -> None:
    folder = put_card(home, body())
    assert model_cards.card("digits") == model_cards.card("digits@1") == model_cards.default_card()
    assert model_cards.default_card().path == folder / "model.pt2"
    assert (
        model_cards.from_json(json.loads(json.dumps(model_cards.default_card().as_json())))
        == model_cards.default_card()
    )


def test_the_newest_version_comes_first_and_is_the_one_meant_by_the_name(home: Path) -> None:
    for name, version in (("digits", 2), ("digits", 10), ("apples", 1), ("digits", 1)):
        put_card(home, body(name, version), name, version)
    assert [card.ref for card in model_cards.cards()] == ["apples@1", "digits@10", "digits@2", "digits@1"]
    assert model_cards.card("digits").ref == "digits@10"


def test_a_version_registered_later_appears_without_a_restart(home: Path) -> None:
    put_card(home, body())
    assert model_cards.card("digits").ref == "digits@1"
    put_card(home, body(version=2), version=2)
    assert model_cards.card("digits").ref == "digits@2"


def test_a_card_that_is_rewritten_is_read_again(home: Path) -> None:
    put_card(home, body())
    assert model_cards.card("digits").labels == ("no", "yes")
    put_card(home, body(labels=["no", "yes", "perhaps"]))
    assert model_cards.card("digits").labels == ("no", "yes", "perhaps")


@pytest.mark.parametrize(
    "ref",
    [
        "../digits@1",
        "digits@../1",
        "digits/1",
        "digits@01",
        "digits@0",
        "Digits",
        "",
        "digits@",
        "digits@1\n",
        ".",
        "/etc",
        "a" * 5000,
    ],
)
def test_what_is_not_a_ref_is_an_unknown_model(home: Path, ref: str) -> None:
    put_card(home / "models", body())
    put_card(home, body())
    with pytest.raises(UnknownModel, match="is not known; known are digits@1"):
        model_cards.card(ref)


def test_a_ref_cannot_leave_the_folder_of_models(home: Path, settings: Any) -> None:
    put_card(home, body())
    settings.MODEL_DIR = home / "models"
    with pytest.raises(UnknownModel, match="The model '../digits@1' is not known; no model is registered yet"):
        model_cards.card("../digits@1")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 5}, "features"),
        ({"width": True}, "width is true; a whole number from 1"),
        ({"labels": ["a", "a"]}, "labels"),
        ({"picture": {"kind": "image", "rows": 3, "columns": 2, "low": 0, "high": 16}}, "picture"),
        ({"examples": [{"label": "yes", "vector": [1, 2, 3]}]}, "examples"),
        ({"examples": [{"label": "maybe", "vector": [1, 2, 3, 4]}]}, "examples"),
        ({"file": "../model.pt2"}, "without a folder"),
        ({"sha256": "abc"}, "64 hexadecimal digits"),
        ({"version": 2}, "its folder must be digits/2"),
    ],
)
def test_a_wrong_card_is_left_out_and_named(home: Path, changes: dict[str, Any], said: str) -> None:
    put_card(home, body(**changes))
    assert model_cards.cards() == []
    assert len(model_cards.faults()) == 1 and said in model_cards.faults()[0]
    with pytest.raises(UnknownModel):
        model_cards.card("digits@1")


def test_a_card_that_is_not_json_or_lacks_fields_is_named_beside_those_that_work(home: Path) -> None:
    lacking = body("lacking")
    del lacking["width"], lacking["labels"]
    put_card(home, lacking, "lacking")
    put_card(home, "{", "broken")
    put_card(home, body())
    assert [card.ref for card in model_cards.cards()] == ["digits@1"]
    broken, incomplete = model_cards.faults()
    assert "broken/1/card.json cannot be read" in broken
    assert incomplete.endswith("lacking/1/card.json cannot be used. The card lacks width, labels.")


def test_a_broken_newest_version_does_not_hide_the_one_before(home: Path) -> None:
    put_card(home, body())
    put_card(home, "{", version=2)
    assert model_cards.card("digits").ref == "digits@1"
    assert model_cards.versions("digits") == [2, 1]


def test_a_file_that_matches_its_card_is_accepted(home: Path) -> None:
    put_card(home, body())
    model_cards.verify(model_cards.default_card())


def test_an_altered_file_is_refused_with_both_hashes(home: Path) -> None:
    folder = put_card(home, body())
    (folder / "model.pt2").write_bytes(BYTES + b"!")
    altered, wanted = hashlib.sha256(BYTES + b"!").hexdigest(), hashlib.sha256(BYTES).hexdigest()
    with pytest.raises(
        ModelRefused,
        match=f"does not match its card: sha256 {altered} instead of {wanted}. Register it again or restore it.",
    ):
        model_cards.verify(model_cards.default_card())


def test_a_missing_file_is_refused_and_its_card_stays_listed(home: Path) -> None:
    folder = put_card(home, body())
    (folder / "model.pt2").unlink()
    with pytest.raises(ModelRefused, match="cannot be read: No such file"):
        model_cards.verify(model_cards.card("digits"))


def test_the_registry_does_not_import_torch() -> None:
    code = "import sys; import predictions.model_cards, predictions.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def settle(home: Path) -> None:
    """As if nothing had been touched for an hour."""
    for path in [home, *home.rglob("*")]:
        os.utime(path, (time.time() - 3600,) * 2)


def lookups(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is listed from now on."""
    listed, versions = list[str](), model_cards.versions
    monkeypatch.setattr(model_cards, "versions", lambda name: listed.append(name) or versions(name))
    return listed


def test_a_card_that_was_found_is_not_looked_for_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_card(home, body())
    settle(home)
    listed = lookups(monkeypatch)
    assert {model_cards.card("digits").ref for _ in range(3)} == {"digits@1"} and listed == ["digits"]


def test_what_was_touched_a_moment_ago_is_looked_for_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another change within the same tick of the file system's clock would look like none."""
    put_card(home, body())
    listed = lookups(monkeypatch)
    assert {model_cards.card("digits").ref for _ in range(3)} == {"digits@1"} and len(listed) == 3


@pytest.mark.parametrize("ref", ["digits", None])
def test_a_card_that_is_known_gives_way_to_a_newer_version_at_once(home: Path, ref: str | None) -> None:
    put_card(home, body())
    settle(home)
    assert model_cards.card(ref).version == 1
    put_card(home, body(version=2), version=2)
    assert model_cards.card(ref).version == 2
    settle(home)
    assert model_cards.card(ref).version == 2
    shutil.rmtree(home / "digits" / "2")
    assert model_cards.card(ref).version == 1


def test_a_card_that_comes_late_into_its_folder_is_seen_at_once(home: Path) -> None:
    put_card(home, body())
    (home / "digits" / "2").mkdir()
    settle(home)
    assert model_cards.card("digits").version == 1
    (home / "digits" / "2" / "card.json").write_text(json.dumps(body(version=2)))
    assert model_cards.card("digits").version == 2


def test_a_known_card_that_is_altered_or_removed_is_not_given_any_more(home: Path) -> None:
    folder = put_card(home, body())
    settle(home)
    assert model_cards.card("digits@1").labels == ("no", "yes")
    (folder / "card.json").write_text(json.dumps(body(labels=["on", "yes"])))
    assert model_cards.card("digits@1").labels == ("on", "yes")
    settle(home)
    assert model_cards.card("digits@1").labels == ("on", "yes")
    (folder / "card.json").unlink()
    with pytest.raises(UnknownModel):
        model_cards.card("digits@1")
