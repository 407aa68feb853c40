import numpy as np
import pytest
import torch

from flawsmith.core.seeding import Seed
from flawsmith.learning.batches import StreamTally, batches, to_tensor
from flawsmith.learning.stream import AnomalyStream
from flawsmith.testing.toy import toy_anomalies


@pytest.fixture
def stream(normals, square):
    real = toy_anomalies(4, Seed(5), size=48)
    return AnomalyStream(normals, [(square, 1.0)], 0.5, (32, 32), Seed(0), real=real, real_share=0.5)


def test_tensors_are_rgb_between_zero_and_one():
    image = np.zeros((4, 6, 3), np.uint8)
    image[1, 2] = (255, 51, 0)
    tensor = to_tensor([image])
    assert tensor.shape == (1, 3, 4, 6)
    assert tensor[0, :, 1, 2].tolist() == pytest.approx([1, 0.2, 0])


def test_a_batch_holds_its_items_in_order(stream):
    batch = next(batches(stream, 4, 3, 4))
    assert [item["index"] for item in batch.items] == [12, 13, 14, 15]
    assert set(batch.mask.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(batch.label, batch.mask.amax((1, 2, 3)).long())
    for i, item in enumerate(stream[i] for i in range(12, 16)):
        assert bool(batch.has_clean[i]) == (item.clean is not None)
        assert torch.equal(batch.clean[i], to_tensor([item.image if item.clean is None else item.clean])[0])


def test_workers_and_batch_size_only_regroup(stream):
    one = torch.cat([batch.image for batch in batches(stream, 2, 0, 6)])
    two = torch.cat([batch.image for batch in batches(stream, 4, 0, 3, workers=2)])
    assert torch.equal(one, two)


def test_the_global_generator_does_not_move(stream):
    before = torch.get_rng_state()
    list(batches(stream, 2, 0, 2))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_tally_counts_what_was_seen(stream):
    tally = StreamTally()
    labels = 0
    for batch in batches(stream, 4, 0, 10):
        tally.add(batch)
        labels += int(batch.label.sum())
    told = tally.to_json()
    assert told["items"] == 40
    assert told["realised_ratio"] == labels / 40
    assert sum(told["makers"].values()) == 40
    assert set(told["makers"]) == {"normal", "real", "square"}
