"""The plain implementations make the same kind of thing as ours, so that their times can be compared."""

import numpy as np
import pytest
from benchmarks.references import reference
from benchmarks.synthesis import FURTHER, Subject, cases, write_files

from flawsmith.core.registry import synthesizers

LEAKING = ("nsa",)
"""Whose plain version changes pixels outside its label: `cv2.seamlessClone` does."""

SIDE, DRAWS = 256, 60
CASES = cases(list(synthesizers.entries))


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files") / "set"
    write_files(folder, SIDE)
    return Subject(SIDE, folder)


@pytest.mark.parametrize("case", CASES)
def test_every_method_has_a_reference_that_makes_the_same_kind_of_thing(subject, case):
    plain = reference(*case.split())
    assert plain is not None
    method = subject.method(case)
    inputs = subject.inputs(textures="textures" in method.traits.needs)
    rng, theirs, ours = np.random.default_rng(1), [], []
    for request in subject.requests(DRAWS):
        pixels = request.normal.source.pixels
        before = pixels.copy()
        image, mask = plain(pixels, inputs, rng)
        assert image.shape == (SIDE, SIDE, 3)
        assert image.dtype == np.uint8
        assert mask.shape == (SIDE, SIDE)
        assert mask.dtype == np.bool_
        np.testing.assert_array_equal(pixels, before)
        if method.traits.local and "normal" in method.traits.needs and method.name not in LEAKING:
            np.testing.assert_array_equal(image[~mask], pixels[~mask])
        theirs.append((mask.mean(), change(image, pixels, mask)))
        made = method.synthesize([request])[0]
        ours.append((made.mask.mean(), change(made.image, pixels, made.mask)))
    for mine, other in zip(np.transpose(ours), np.transpose(theirs), strict=True):
        error = np.sqrt(mine.var() / len(mine) + other.var() / len(other))
        assert abs(mine.mean() - other.mean()) < 4 * error + 0.02 * other.mean()


def change(image, pixels, mask):
    """Mean change on the mask, levels."""
    return float(np.abs(image.astype(float) - pixels)[mask].mean()) if mask.any() else 0.0


def test_further_presets_are_real():
    for case in FURTHER:
        name, preset = case.split()
        if name in synthesizers.entries:
            assert preset in synthesizers.entry(name).resolve().presets
    assert reference("no_such_method") is None
