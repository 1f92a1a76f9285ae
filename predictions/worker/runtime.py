"""Torch: the device, a model loaded from its card, and the shelf of models that this process holds."""

from __future__ import annotations

import math
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from django.conf import settings
from torch.export.passes import move_to_device_pass

from predictions import model_cards
from predictions.errors import ModelRefused, NonFiniteOutput, UnknownModel
from predictions.model_cards import ModelCard
from predictions.worker.exported import function_of
from predictions.worker.memory import Room, give_back, is_out_of_memory
from predictions.worker.model_files import VerifiedFiles

SLICE = 4096
"""Rows in one forward pass: more is no faster and costs memory."""
HELD = 4
"""Models that a process keeps; the one not used for longest goes first."""
Floats = npt.NDArray[np.float32]
Module = Callable[[torch.Tensor], torch.Tensor]


class Model:
    def __init__(self, card: ModelCard, module: Module, device: torch.device) -> None:
        self.card = card
        self.device = str(device)
        self._module = module
        self._device = device
        self._room = Room(card.ref, SLICE)

    def probabilities(self, x: Floats) -> Floats:
        """Softmax over the classes, (n, classes) for x (n, width). Raises NonFiniteOutput."""
        out = np.empty((len(x), len(self.card.labels)), dtype=np.float32)
        start = 0
        while start < len(x):
            fitting = self._forward_first(x[start : start + self._room.rows])
            out[start : start + len(fitting)] = fitting
            start += len(fitting)
        return out

    def _forward_first(self, x: Floats) -> Floats:
        """The probabilities of as many of the first rows as fit into memory; one row that does not fit is an error."""
        while True:
            try:
                fitting = self._forward(x)
            except Exception as error:
                if len(x) == 1 or not is_out_of_memory(error):
                    raise
            else:
                self._room.fitted(len(x))
                return fitting
            # Only here has the error let go of what the pass had allocated.
            self._room.halve(len(x))
            give_back(self._device)
            x = x[: self._room.rows]

    def try_out(self, *batches: int) -> None:
        """Put made-up rows through, in batches of these sizes. Raises ModelRefused unless finite (n, classes) come."""
        for n in batches:
            x = np.linspace(0.0, 1.0, n * self.card.width, dtype=np.float32).reshape(n, self.card.width)
            try:
                self._forward(x)
            except ModelRefused:
                raise
            except NonFiniteOutput as error:
                raise ModelRefused(str(error)) from error
            except Exception as error:  # A stranger's module may raise anything.
                raise ModelRefused(
                    f"{self.card.ref} does not take {n} x {self.card.width} values as float32: {_first_line(error)}"
                ) from error

    @torch.inference_mode()
    def _forward(self, x: Floats) -> Floats:
        logits = self._module(_aligned(x).to(self._device))  # (n, classes)
        self._check_shape(logits, len(x))
        if not math.isfinite(logits.sum().item()):  # the cheap question (facts 44); a sum may also be too large
            self._check_finite(logits)
        probabilities: Floats = torch.softmax(logits.float(), dim=1).cpu().numpy()  # (n, classes)
        return probabilities

    def _check_finite(self, logits: torch.Tensor) -> None:
        finite = torch.isfinite(logits).all(dim=1)  # (n,)
        if wrong := int((~finite).sum()):
            raise NonFiniteOutput(
                f"The output of {self.card.ref} is not finite for {wrong} of {len(finite)} rows; "
                "a class cannot be told from it."
            )

    def _check_shape(self, logits: object, n: int) -> None:
        classes = len(self.card.labels)
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        if shape != (n, classes):
            raise ModelRefused(
                f"{self.card.ref} gives {shape} for {n} rows; its {classes} labels call for {(n, classes)}."
            )


def _aligned(x: Floats) -> torch.Tensor:
    """x in torch's own memory, which begins at a multiple of 64 bytes; numpy's does not, and a product's last bits show it."""
    rows = torch.empty(x.shape, dtype=torch.float32)  # (n, width)
    rows.numpy()[...] = x
    return rows


class ModelShelf:
    """The models of this process, loaded when first asked for; safe to use from several threads."""

    def __init__(self) -> None:
        self._held: OrderedDict[str, Model] = OrderedDict()
        self._files = VerifiedFiles()
        self._lock = threading.Lock()

    def get(self, ref: str | None) -> Model:
        """The model of a ref, or the default one. Raises ModelRefused where its card or file cannot be used."""
        try:
            card = model_cards.card(ref)
        except UnknownModel as unknown:
            raise ModelRefused(unknown.detail) from unknown
        with self._lock:
            return self._get(card)

    def refs(self) -> list[str]:
        """What is loaded, the latest used last."""
        return list(self._held)

    def _get(self, card: ModelCard) -> Model:
        held = self._held.pop(card.ref, None)  # what is refused below is held no longer
        self._files.check(card)
        if held is None or held.card.sha256 != card.sha256:
            held = _open(card)
        self._held[card.ref] = held
        if len(self._held) > HELD:
            self._held.popitem(last=False)
        return held


models = ModelShelf()


def device() -> torch.device:
    """The first GPU this process may see (CUDA_VISIBLE_DEVICES), else the CPU."""
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


@cache
def gpu() -> str:
    """Its UUID as NVIDIA's library knows it, whichever number it has here; empty on the CPU."""
    return f"GPU-{torch.cuda.get_device_properties(0).uuid}" if device().type == "cuda" else ""


def load(card: ModelCard) -> Model:
    """Load a model once its file is known to be the card's, and warm it up. Raises ModelRefused."""
    model_cards.verify(card)
    return _open(card)


def _open(card: ModelCard) -> Model:
    model = Model(card, open_module(card.path), device())
    model.try_out(1, 2)
    return model


def open_module(path: Path) -> Module:
    """The module in a .pt2 or .pt file, on the device, ready to infer. Opening runs its code: never a stranger's."""
    _limit_threads()
    try:
        return OPENERS[path.suffix](path, device())
    except Exception as error:  # A broken file breaks wherever its format happens to: zip, pickle, JSON or torch.
        raise ModelRefused(f"The file {path} does not load: {_first_line(error)}") from error


def _open_exported(path: Path, where: torch.device) -> Module:
    program = torch.export.load(path)
    if where.type == "cpu":
        return function_of(program)
    # Moving the module alone leaves behind constants and nodes that were exported with their device burnt in.
    module: Module = move_to_device_pass(program, where).module()
    return module


def _open_scripted(path: Path, where: torch.device) -> Module:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.load.* is deprecated", category=DeprecationWarning)
        module = torch.jit.load(str(path), map_location=where)  # type: ignore[no-untyped-call]
    module.eval()
    scripted: Module = module
    return scripted


OPENERS: dict[str, Callable[[Path, torch.device], Module]] = {".pt2": _open_exported, ".pt": _open_scripted}


@cache
def _limit_threads() -> None:
    torch.set_num_threads(settings.TORCH_THREADS)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
