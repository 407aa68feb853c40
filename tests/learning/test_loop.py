"""The loop on a network of one layer: resuming is exact, budgets hold, divergence is named."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from flawsmith.core.detector import Budget, Stage, TrainingTask
from flawsmith.core.errors import BadParameter, DamagedFile, NeedUnmet
from flawsmith.core.samples import SupportSet
from flawsmith.core.seeding import Seed
from flawsmith.learning.checkpoint import load_checkpoint, same_state
from flawsmith.learning.initialisation import seeded_construction
from flawsmith.learning.loop import CHECKPOINT, LOG, LoopSettings, TrainingDiverged, stage_bounds, train
from flawsmith.learning.stream import AnomalyStream
from flawsmith.testing.toy import toy_anomalies, toy_normals

STAGES = (Stage("warm", 0.4), Stage("main", 0.6))


class Tiny:
    """A 3×3 convolution with batch norm that learns to mark anomalies, in two stages."""

    stages = STAGES

    def __init__(self, poison_at: int | None = None, delay: float = 0.0) -> None:
        with seeded_construction(Seed(0)):
            self.network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))
        self.poison_at, self.delay, self.rates, self.steps = poison_at, delay, [], 0

    def configure(self, stage):
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=1e-2)
        return self.optimiser, lambda progress: 1 - 0.5 * progress

    def loss(self, batch, stage):
        self.rates.append(self.optimiser.param_groups[0]["lr"])
        time.sleep(self.delay)
        loss = nn.functional.binary_cross_entropy_with_logits(self.network(batch.image), batch.mask)
        self.steps += 1
        return {"total": loss * (math.nan if self.steps - 1 == self.poison_at else 1.0)}


def task(folder: Path | None = None, fingerprint: str = "a", **options) -> TrainingTask:
    normals = toy_normals(4, Seed(0), size=32)
    stream = AnomalyStream(normals, [], 0.5, (32, 32), Seed(1), real=toy_anomalies(4, Seed(2), size=32), real_share=1.0)
    whole = TrainingTask(stream, normals, SupportSet(tuple(normals)), folder=folder, fingerprint=fingerprint)
    return dataclasses.replace(whole, **options)


def settings(**options) -> LoopSettings:
    return LoopSettings(**{"steps": 10, "batch_size": 2, "checkpoint_seconds": 0.0, **options})


def test_the_same_task_gives_the_same_weights():
    one, two = Tiny(), Tiny()
    train(one, task(), settings())
    train(two, task(), settings(workers=2))
    assert same_state(one.network.state_dict(), two.network.state_dict())


@pytest.mark.parametrize("stop", [2, 4, 7])
def test_resuming_equals_the_unbroken_run(tmp_path: Path, stop: int):
    unbroken, broken, resumed = Tiny(), Tiny(poison_at=stop), Tiny()
    whole = train(unbroken, task(), settings())
    with pytest.raises(TrainingDiverged):
        train(broken, task(tmp_path), settings())
    log = train(resumed, task(tmp_path), settings())
    assert same_state(unbroken.network.state_dict(), resumed.network.state_dict())
    assert log.lines[0] == {"event": "resumed", "step": stop}
    ends = [{key: value for key, value in lines[-1].items() if key != "seconds"} for lines in (whole.lines, log.lines)]
    assert ends[0] == ends[1]
    assert [json.loads(line)["event"] for line in (tmp_path / LOG).read_text().splitlines()].count("resumed") == 1


def test_killed_half_way_and_started_again(tmp_path: Path):
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import torch; torch.set_num_threads(1)
from test_loop import Tiny, settings, task, train
train(Tiny(delay=0.05), task(Path({str(tmp_path)!r})), settings(steps=60))
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not ((tmp_path / CHECKPOINT).exists() and load_checkpoint(tmp_path / CHECKPOINT).step >= 5):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    unbroken, resumed = Tiny(), Tiny()
    train(unbroken, task(), settings(steps=60))
    log = train(resumed, task(tmp_path), settings(steps=60))
    assert 5 <= log.lines[0]["step"] < 60
    assert same_state(unbroken.network.state_dict(), resumed.network.state_dict())


def test_a_checkpoint_of_another_training_is_not_resumed(tmp_path: Path):
    with pytest.raises(TrainingDiverged):
        train(Tiny(poison_at=5), task(tmp_path, "a"), settings())
    log = train(Tiny(), task(tmp_path, "b"), settings())
    assert log.lines[0]["event"] == "checkpoint_of_another_training_ignored"


def test_a_damaged_checkpoint_is_named(tmp_path: Path):
    (tmp_path / CHECKPOINT).write_bytes(b"half a file")
    with pytest.raises(DamagedFile, match="delete it to start over"):
        train(Tiny(), task(tmp_path), settings())


def test_the_schedule_runs_over_each_stage():
    tiny = Tiny()
    train(tiny, task(), settings())
    assert tiny.rates[0] == tiny.rates[4] == 0.01
    assert tiny.rates[3] == tiny.rates[9] == pytest.approx(0.005)


def test_a_clock_stops_the_training():
    tiny = Tiny(delay=0.05)
    log = train(tiny, task(), settings(steps=10_000, seconds=0.5))
    assert 1 <= tiny.steps < 100
    assert "out_of_time" in [line["event"] for line in log.lines]


def test_divergence_names_step_part_and_items():
    with pytest.raises(TrainingDiverged, match=r"total is nan at step 3 of stage warm, on stream items \[6, 7\]"):
        train(Tiny(poison_at=3), task(), settings())


def test_the_budget_wins_over_the_detectors_own_steps():
    assert LoopSettings.within(Budget(steps=7), 300, 4).steps == 7
    assert LoopSettings.within(Budget(), 300, 4).steps == 300


@pytest.mark.parametrize(("options", "error"), [({"steps": 0}, BadParameter), ({"batch_size": 0}, BadParameter)])
def test_nothing_to_do_is_refused(options, error):
    with pytest.raises(error, match="at least 1"):
        train(Tiny(), task(), settings(**options))


def test_training_without_a_stream_is_refused():
    with pytest.raises(NeedUnmet, match="--synth"):
        train(Tiny(), task(stream=None), settings())


def test_stage_bounds_cover_every_step_once():
    assert [(stage.name, first, last) for stage, first, last in stage_bounds(STAGES, 10)] == [("warm", 0, 4), ("main", 4, 10)]
    assert [(stage.name, first, last) for stage, first, last in stage_bounds(STAGES, 1)] == [("main", 0, 1)]


def test_the_global_generator_does_not_move():
    before = torch.get_rng_state()
    train(Tiny(), task(), settings(steps=2))
    assert torch.equal(torch.get_rng_state(), before)
