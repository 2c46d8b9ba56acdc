"""The encoder on all cores of a CPU: one copy a core, each on a thread of its own, gradients added up.

Operations spread over cores wait for the slowest of them thousands of times a step; copies that each take
their slices of the batch wait once. On two cores beside other work that is two to four times as fast.
"""

from __future__ import annotations

import copy
import ctypes
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from model.precision import bf16_pays

Job = TypeVar("Job")
Result = TypeVar("Result")

# mallopt's names in malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def cores() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Copies:
    """Copies of an encoder on the CPU, as many as there are cores unless told otherwise.

    With bf16 their weights and activations are bf16 throughout, but for exit 0, a mere lookup. (Autocast
    leaves norms, sums and softmax in float32; casting the weights makes a step a quarter faster.) Gradients
    are added in float32, slice by slice, in an order that depends on nothing but the number of copies.
    """

    def __init__(self, model: nn.Module, count: int = 0, bf16: bool = True, learning: bool = True):
        bf16 = bf16 and bf16_pays()
        self.model, self.bf16 = model, bf16
        count = count or cores()
        if learning and _drops(model):
            count = 1  # threads would share one generator, and its numbers
        self._pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
        self.modules = [Copy(model, bf16) for _ in range(count)]
        self._sums: list[dict[str, Tensor]] = [{} for _ in self.modules]
        if learning:
            for module, sums in zip(self.modules, self._sums, strict=True):
                _add_up(module.encoder, sums)

    def refresh(self) -> None:
        """Give the copies the weights that the original has now."""
        own = dict(self.model.named_parameters())
        with torch.no_grad():
            for module in self.modules:
                for name, parameter in module.encoder.named_parameters():
                    parameter.copy_(own[name])

    def each(self, jobs: Sequence[Job], work: Callable[[nn.Module, int, Job], Result]) -> list[Result]:
        """work(copy, number, job) of all jobs, in their order; copy i takes the jobs i, i + copies, ..."""
        count = len(self.modules)

        def share(first: int) -> list[Result]:
            return [work(self.modules[first], at, jobs[at]) for at in range(first, len(jobs), count)]

        shares = [self._pool.submit(share, first) for first in range(count)]
        done = [one.result() for one in shares]
        return [done[at % count][at // count] for at in range(len(jobs))]

    def collect(self) -> None:
        """Hand the sum of the copies' gradients to the original."""
        for name, parameter in self.model.named_parameters():
            for sums in self._sums:
                if name in sums:
                    found = sums.pop(name)
                    parameter.grad = found if parameter.grad is None else parameter.grad.add_(found)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()


class Copy(nn.Module):
    """A copy with bf16 weights; autocast settles what exit 0 and float32 constants would mix."""

    def __init__(self, model: nn.Module, bf16: bool):
        super().__init__()
        self.bf16, self.drops = bf16, _drops(model)
        self.encoder = copy.deepcopy(model)
        self.dice = torch.Generator()
        for one in self.encoder.modules():
            if hasattr(one, "dice"):
                setattr(one, "dice", self.dice)  # noqa: B010
        if bf16:
            for name, parameter in self.encoder.named_parameters():
                if "heads.0." not in name:
                    parameter.data = parameter.data.to(torch.bfloat16)

    def reseed(self, seed: int) -> None:
        """Have what is drawn in the next pass depend on `seed` alone."""
        self.dice.manual_seed(seed)
        if self.drops:
            torch.manual_seed(seed)

    def forward(self, *given: Any) -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            return self.encoder(*given)


def _add_up(encoder: nn.Module, sums: dict[str, Tensor]) -> None:
    """Add every gradient, once made, to a float32 sum of its own."""

    def adder(name: str) -> Callable[[Tensor], None]:
        def add(parameter: Tensor) -> None:
            assert parameter.grad is not None
            if name in sums:
                sums[name] += parameter.grad
            else:
                sums[name] = parameter.grad.float().clone()
            parameter.grad = None

        return add

    for name, parameter in encoder.named_parameters():
        if parameter.requires_grad:
            parameter.register_post_accumulate_grad_hook(adder(name))


def _drops(model: nn.Module) -> bool:
    """Whether there is dropout, which draws from the generator that all threads share."""
    shares = (
        one.p if isinstance(one, nn.Dropout) else getattr(one, "dropout", 0.0) for one in model.modules()
    )
    return any(isinstance(share, float) and share > 0 for share in shares)


def keep_freed_memory() -> None:
    """Let glibc keep large blocks instead of giving them back after every operation.

    Each would come back as untouched pages, and faulting those in takes up to a third of a CPU step.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
            libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
