"""A program of torch.export as a plain function of its rows: its module's own call costs three times the model on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.utils._sympy.numbers import int_oo

Module = Callable[[torch.Tensor], torch.Tensor]
KEPT = {InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR}


def function_of(program: ExportedProgram) -> Module:
    """What maps rows (n, width) to logits. The module itself where the program does more than that.

    Without the module's guards, which have nothing to refuse here; what comes out is checked in each pass.
    """
    inputs, outputs = program.graph_signature.input_specs, program.graph_signature.output_specs
    kinds = [given.kind for given in inputs]
    is_plain = kinds[-1:] == [InputKind.USER_INPUT] and set(kinds[:-1]) <= KEPT and _takes_any_number(program)
    if not is_plain or [given.kind for given in outputs] != [OutputKind.USER_OUTPUT]:
        return program.module()
    held = {**program.state_dict, **program.constants}
    weights = [held[str(given.target)] for given in inputs[:-1]]
    forward: Any = program.graph_module.forward

    def call(rows: torch.Tensor) -> torch.Tensor:
        (logits,) = forward(*weights, rows)
        return logits  # type: ignore[no-any-return]  # (n, classes)

    return call


def _takes_any_number(program: ExportedProgram) -> bool:
    """Of rows. Where its export fixed or bounded it, the module's guards are needed to refuse the others."""
    *_, rows = (node for node in program.graph.nodes if node.op == "placeholder")
    number = rows.meta["val"].shape[0]
    if not isinstance(number, torch.SymInt):
        return False
    range_ = program.range_constraints.get(number.node.expr)
    return range_ is not None and bool(range_.lower <= 1 and range_.upper == int_oo)
