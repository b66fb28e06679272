"""Imports that only cost time at the start of a process, put off until somebody needs them."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import torch
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop, SparseAdam

from .patching import Function, StandIn, replace_once

SKLEARN = "sklearn", "sklearn.metrics"
COMPILER = "torch._dynamo"
KEPT_FROM_COMPILER = "add_param_group", "zero_grad", "state_dict", "load_state_dict"


def lazy_sklearn() -> None:
    """RecBole 1.2.1. Without it: ``recbole.evaluator`` imports scikit-learn, a fifth of a process's start, for AUC, MAE
    and RMSE alone. Here it is imported when one of them is computed; ``import sklearn`` elsewhere works as before."""
    if "recbole.evaluator" in sys.modules or "sklearn" in sys.modules:
        return
    sys.modules.update({name: StandIn(name, _function_of_metrics) for name in SKLEARN})
    try:
        importlib.import_module("recbole.evaluator")
    finally:
        for name in SKLEARN:
            del sys.modules[name]


def lazy_compiler() -> None:
    """torch >= 2.1. Without it: the first optimizer and its first step import torch's compiler, another fifth of the
    start, to keep themselves out of what is compiled. Here they do so once something else has imported the compiler."""
    for name in KEPT_FROM_COMPILER:
        _keep_once_compiling(getattr(getattr(Optimizer, name), "__wrapped__", None))
    replace_once(torch, "_disable_dynamo", _keeping_later_ones)
    for optimizer in (Adam, AdamW, SGD, Adagrad, RMSprop, SparseAdam):
        if (
            optimizer.step.__code__.co_name == "_use_grad"
        ):  # not wrapped further, as the first optimizer made does
            replace_once(optimizer, "step", _without_compiler)


def _function_of_metrics(name: str) -> Function:
    def call(*arguments: Any, **named: Any) -> Any:
        return getattr(importlib.import_module("sklearn.metrics"), name)(*arguments, **named)

    call.__name__ = name
    return call


def _keeping_later_ones(disable: Function) -> Function:
    """torch's decorator of what it does not compile, for all that is decorated from now on."""

    def decorator(fn: Function | None = None, *arguments: Any, **named: Any) -> Any:
        _keep_once_compiling(fn)
        return disable(fn, *arguments, **named)

    return decorator


def _keep_once_compiling(function: Function | None) -> None:
    """Give a function to torch's decorator as what it calls: the function itself, until there may be compilation."""
    if function is None or hasattr(function, "__dynamo_disable"):
        return

    def call(*arguments: Any, **named: Any) -> Any:
        if COMPILER not in sys.modules:
            return function(*arguments, **named)
        function.__dynamo_disable = importlib.import_module(COMPILER).disable(function)  # type: ignore[attr-defined]
        return function.__dynamo_disable(*arguments, **named)  # type: ignore[attr-defined]

    function.__dynamo_disable = call  # type: ignore[attr-defined]


def _without_compiler(step: Function) -> Function:
    """An optimizer's step, which where nothing can be compiled only sets whether gradients are recorded."""

    def call(self: Optimizer, *arguments: Any, **named: Any) -> Any:
        if COMPILER in sys.modules:
            return step(self, *arguments, **named)
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return step.__wrapped__(self, *arguments, **named)  # type: ignore[attr-defined]

    return call
