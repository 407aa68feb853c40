import subprocess
import sys

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from flawsmith.core.seeding import Seed

KEYS = st.lists(st.one_of(st.integers(-5, 5), st.text(max_size=3)), max_size=3).map(tuple)


@given(st.integers(-(2**40), 2**40), KEYS)
def test_json_round_trip(root: int, keys: tuple[str | int, ...]):
    assert Seed.from_json(Seed(root, keys).to_json()) == Seed(root, keys)


@given(KEYS, KEYS)
def test_different_paths_give_different_streams(one: tuple[str | int, ...], other: tuple[str | int, ...]):
    assert (one == other) == (Seed(0, one).entropy() == Seed(0, other).entropy())


def test_a_number_and_its_text_are_different_keys():
    assert Seed(0, (1,)).entropy() != Seed(0, ("1",)).entropy()


def test_streams_do_not_depend_on_each_other():
    seed = Seed(3, ("tile", 12))
    first = seed.numpy("mask").random(4)
    seed.numpy("noise").random(100)
    assert np.array_equal(seed.numpy("mask").random(4), first)
    assert not np.array_equal(seed.numpy("noise").random(4), first)


def test_the_generator_is_the_one_of_its_entropy():
    for seed in (Seed(0), Seed(-7, ("tile", 12))):
        plain = np.random.Generator(np.random.PCG64(seed.entropy("mask")))
        assert np.array_equal(seed.numpy("mask").integers(0, 2**60, 8), plain.integers(0, 2**60, 8))


def test_same_in_another_process():
    code = "from flawsmith.core.seeding import Seed; print(Seed(0, ('é', 5)).numpy('mask').integers(0, 2**60))"
    other = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert other == Seed(0, ("é", 5)).numpy("mask").integers(0, 2**60)


def test_zero_is_a_seed():
    assert Seed(0).entropy() != Seed(1).entropy()


def test_global_states_are_neither_read_nor_moved():
    np.random.seed(0)  # noqa: NPY002
    before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    one = Seed(1).torch("noise").initial_seed(), Seed(1).numpy("noise").random()
    np.random.seed(5)  # noqa: NPY002
    assert (Seed(1).torch("noise").initial_seed(), Seed(1).numpy("noise").random()) == one
    np.random.seed(0)  # noqa: NPY002
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_before)
