"""The one training loop: stages in order, a budget in steps or seconds, checkpoints that resume exactly, and a log.

Everything random comes from the stream's seed and the step number, so a run that was killed and started again ends with the
very same weights as an unbroken one.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from flawsmith.core.detector import Budget, Stage, TrainingTask
from flawsmith.core.errors import BadParameter, FlawsmithError, NeedUnmet
from flawsmith.core.files import output_errors, write_text
from flawsmith.core.progress import track
from flawsmith.learning.batches import Batch, StreamTally, batches
from flawsmith.learning.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

CHECKPOINT = "checkpoint.safetensors"
LOG = "training.jsonl"
LOG_EVERY_STEPS = 10

Schedule = Callable[[float], float]
"""Progress of the stage in 0…1 → factor on each group's first learning rate."""


class TrainingDiverged(FlawsmithError):
    """The loss became NaN or infinite."""

    code = "E_DIVERGED"


class Trainee(Protocol):
    """What the loop trains."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Stages with their shares of the steps."""
        ...

    @property
    def network(self) -> nn.Module:
        """Everything that changes while training; its state dictionary is checkpointed."""
        ...

    def configure(self, stage: Stage) -> tuple[Optimizer, Schedule]:
        """A fresh optimiser and its schedule for one stage."""
        ...

    def loss(self, batch: Batch, stage: Stage) -> Mapping[str, Tensor]:
        """Named parts of the loss; `total` is minimised."""
        ...


@dataclass(frozen=True)
class LoopSettings:
    """How to run.

    Args:
        steps: optimiser steps over all stages.
        batch_size: items per step.
        seconds: clock limit; the schedule then follows whichever of clock and steps is further.
        workers: processes that make items; 0: this one.
        checkpoint_seconds: time between checkpoints.
    """

    steps: int
    batch_size: int
    seconds: float | None = None
    workers: int = 0
    checkpoint_seconds: float = 15.0

    @classmethod
    def within(cls, budget: Budget, steps: int, batch_size: int, **others: Any) -> LoopSettings:
        """Take the budget's steps where it names some, else the detector's own."""
        return cls(budget.steps or steps, batch_size, budget.seconds, **others)


@dataclass
class TrainingLog:
    """What happened, also written to `training.jsonl` line by line.

    Args:
        folder: where the file is; None: nowhere.
        lines: the events, oldest first.
    """

    folder: Path | None
    lines: list[dict[str, Any]] = field(default_factory=list)

    def back_to(self, step: int) -> None:
        """Drop what the file tells of `step` and later, which will be done again, and a last line that was cut short."""
        path = self.folder / LOG if self.folder else None
        if path is None or not path.is_file():
            return
        kept = []
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if line["event"] != "step" or line["step"] < step:
                kept.append(text + "\n")
        write_text(path, "".join(kept))

    def note(self, event: str, **values: Any) -> None:
        """Add one line."""
        line = {"event": event, **values}
        self.lines.append(line)
        if self.folder is not None:
            with output_errors(self.folder), (self.folder / LOG).open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")


def train(trainee: Trainee, task: TrainingTask, settings: LoopSettings) -> TrainingLog:
    """Train on `task.stream` and return the log; `trainee.network` then holds the last step's weights (nothing is selected).

    A checkpoint with the same fingerprint in `task.folder` is resumed, and the log names the step.

    Raises:
        NeedUnmet: the task has no stream.
        BadParameter: no steps, or an empty batch.
        TrainingDiverged: the loss is NaN or infinite; names the step, the part and the items.
    """
    if task.stream is None:
        raise NeedUnmet("training", "a stream of normals and anomalies", "name a synthesizer with --synth")
    if settings.steps < 1 or settings.batch_size < 1:
        raise BadParameter(f"steps and batch size are {settings.steps} and {settings.batch_size}; expected both at least 1")
    return _Run(trainee, task, settings).go()


class _Run:
    def __init__(self, trainee: Trainee, task: TrainingTask, settings: LoopSettings) -> None:
        self.trainee, self.task, self.settings = trainee, task, settings
        self.log, self.tally = TrainingLog(task.folder), StreamTally()
        self.path = task.folder / CHECKPOINT if task.folder else None
        self.began = self.saved = time.monotonic()
        self.spent_before = 0.0

    def go(self) -> TrainingLog:
        found = self._resumable()
        for stage, first, last in stage_bounds(self.trainee.stages, self.settings.steps):
            if found and found.step >= last:
                continue
            self._run_stage(stage, first, last, found if found and found.step > first else None)
            if self._out_of_time():
                break
        self.log.note("finished", **self.tally.to_json(), seconds=round(self._spent(), 3))
        return self.log

    def _resumable(self) -> Checkpoint | None:
        if self.path is None or not self.path.exists():
            return None
        found = load_checkpoint(self.path)
        if found.fingerprint != self.task.fingerprint:
            self.log.note("checkpoint_of_another_training_ignored", step=found.step)
            return None
        self.trainee.network.load_state_dict(found.network)
        tally = found.notes["tally"]
        self.tally = StreamTally(**{**tally, "makers": Counter(tally["makers"])})
        self.spent_before = float(found.notes["seconds"])
        self.log.back_to(found.step)
        self.log.note("resumed", step=found.step)
        return found

    def _run_stage(self, stage: Stage, first: int, last: int, found: Checkpoint | None) -> None:
        optimiser, schedule = self.trainee.configure(stage)
        for group in optimiser.param_groups:
            group.setdefault("initial_lr", group["lr"])
        if found:
            optimiser.load_state_dict(found.optimiser)
        start = found.step if found else first
        for step, batch in self._batches(stage.name, start, last):
            progress = self._progress(step, first, last)
            for group in optimiser.param_groups:
                group["lr"] = group["initial_lr"] * schedule(progress)
            self._step(step, batch, stage, optimiser)
            self._save_when_due(step + 1, optimiser, final=step + 1 == last)
            if self._out_of_time():
                self.log.note("out_of_time", step=step + 1)
                return

    def _batches(self, name: str, start: int, last: int) -> Iterator[tuple[int, Batch]]:
        assert self.task.stream is not None
        made = batches(self.task.stream, self.settings.batch_size, start, last, self.settings.workers)
        yield from enumerate(track(made, f"training ({name})", total=self.settings.steps, start=start), start)

    def _step(self, step: int, batch: Batch, stage: Stage, optimiser: Optimizer) -> None:
        parts = self.trainee.loss(batch, stage)
        values = {name: float(part.detach()) for name, part in parts.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise TrainingDiverged(
                    f"loss part {name} is {value} at step {step} of stage {stage.name}, on stream items "
                    f"{[item['index'] for item in batch.items]}; expected a finite number: lower the learning rate"
                )
        optimiser.zero_grad(set_to_none=True)
        parts["total"].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        self.tally.add(batch)
        if step % LOG_EVERY_STEPS == 0:
            self.log.note("step", step=step, stage=stage.name, **{name: round(value, 6) for name, value in values.items()})

    def _save_when_due(self, step: int, optimiser: Optimizer, final: bool) -> None:
        if self.path is None or not (final or time.monotonic() - self.saved >= self.settings.checkpoint_seconds):
            return
        tally = {**vars(self.tally), "makers": dict(self.tally.makers)}
        state = self.trainee.network.state_dict()
        notes = {"tally": tally, "seconds": self._spent()}
        save_checkpoint(self.path, Checkpoint(step, self.task.fingerprint, state, optimiser.state_dict(), notes))
        self.saved = time.monotonic()

    def _progress(self, step: int, first: int, last: int) -> float:
        by_steps = (step - first) / max(1, last - first - 1)
        return by_steps if self.settings.seconds is None else min(1.0, max(by_steps, self._spent() / self.settings.seconds))

    def _spent(self) -> float:
        return self.spent_before + time.monotonic() - self.began

    def _out_of_time(self) -> bool:
        return self.settings.seconds is not None and self._spent() >= self.settings.seconds


def stage_bounds(stages: tuple[Stage, ...], steps: int) -> list[tuple[Stage, int, int]]:
    """(stage, first step, one past its last step) for each stage, by share; the last one ends at `steps`."""
    bounds, first, share = [], 0, 0.0
    for number, stage in enumerate(stages):
        share += stage.share
        last = steps if number == len(stages) - 1 else min(steps, round(share * steps))
        bounds.append((stage, first, last))
        first = last
    return [bound for bound in bounds if bound[2] > bound[1]]
