import json
import subprocess
import sys

import numpy as np
import pytest

from flawsmith.core.errors import BadParameter, UnknownName, UsageError
from flawsmith.core.registry import synthesizers
from flawsmith.core.seeding import Seed
from flawsmith.masks.families import parse_families
from flawsmith.synthesis.asked_masks import AskedMask
from flawsmith.synthesis.sets import replay, synthesize
from flawsmith.synthesis.writing import find_line, write_set

BRING = {"references", "precomputed"}
"""Needs that a folder of normals does not meet."""

TAKERS = [name for name, e in synthesizers.entries.items() if e.traits.takes_mask and not e.traits.needs & BRING]


def mask_of(asked, made, tiles, anomaly):
    """The mask that was drawn for an anomaly, drawn again from its seed."""
    source = next(s for s in tiles.samples if s.id == anomaly.provenance.normal_id).source
    return asked.draw(source.image(), anomaly.provenance.normal_id, Seed.from_json(dict(anomaly.provenance.seed)))


@pytest.mark.parametrize("name", TAKERS)
@pytest.mark.parametrize("shape", ["ellipse:large", "any"])
def test_every_defect_lies_in_its_mask(tiles, name, shape):
    made = synthesize(tiles, name, 6, mask_shape=shape)
    names = {family.name for family in parse_families(shape)}
    for anomaly in made:
        place = mask_of(made.asked, made, tiles, anomaly)
        assert anomaly.provenance.drawn["mask_family"] == place.family
        assert place.family in names
        assert not anomaly.is_normal
        assert not (anomaly.mask & ~place.mask).any()


@pytest.mark.parametrize("text", ["draem", "cutpaste:1,draem:2"])
def test_a_line_in_a_fresh_process_makes_the_same_pixels(tiles, tmp_path, text):
    made = synthesize(tiles, text, 4, size=48, mask_shape="line:large,brush")
    write_set(made, tmp_path / "out")
    record = find_line(f"{tmp_path / 'out' / 'manifest.jsonl'}:2")
    assert record["asked_mask"] == {"shape": "line:large,brush", "foreground": "none"}
    again = replay(record, tiles)
    np.testing.assert_array_equal(again.image, made[2].image)
    assert again.provenance == made[2].provenance
    program = "import sys; from flawsmith.cli.app import run; sys.exit(run(sys.argv[1:]))"
    command = ["synth", str(tiles.root), "--replay", json.dumps(record), "--out", str(tmp_path / "again")]
    subprocess.run([sys.executable, "-c", program, *command], check=True, capture_output=True)
    path = record["files"]["image"]["path"]
    assert (tmp_path / "again" / path).read_bytes() == (tmp_path / "out" / path).read_bytes()


def test_a_table_is_asked_for_the_data_sets_own_product(tiles):
    """`01` is a product of BTAD; what `table:realnet` says of it is under that data set's name alone."""
    asked, picture = AskedMask("any", "table:realnet"), tiles.samples[0].source.image()
    assert asked.draw(picture, "01/train/good/0", Seed(0), "btad")
    with pytest.raises(UnknownName):
        asked.draw(picture, "01/train/good/0", Seed(0), "visa")


def test_every_item_and_its_replay_ask_for_their_data_set(tiles, tmp_path, monkeypatch):
    asked_of = []
    draw = AskedMask.draw
    monkeypatch.setattr(AskedMask, "draw", lambda self, *told: asked_of.append(told[-1]) or draw(self, *told))
    write_set(synthesize(tiles, "draem", 1, mask_shape="any"), tmp_path / "out")
    replay(find_line(f"{tmp_path / 'out' / 'manifest.jsonl'}:0"), tiles)
    assert len(asked_of) >= 2
    assert set(asked_of) == {tiles.name}


def test_masks_lie_in_the_foreground_that_all_methods_share(tiles):
    settings = ["draem.foreground=threshold:128", "cutpaste.foreground=threshold:128"]
    both = synthesize(tiles, "draem,cutpaste", 2, mask_shape="any", settings=settings)
    assert both.asked == AskedMask("any", "threshold:128")
    assert synthesize(tiles, "draem,cutpaste", 2, mask_shape="any", settings=settings[:1]).asked == AskedMask("any")
    image = next(iter(both.supports.values())).normals[0].image()
    for number in range(20):
        place = AskedMask("polygon:small", "threshold:128").draw(image, "x/y/z/w", Seed(number))
        assert place is None or (image[:, :, 0][place.mask] <= 128).all()


def test_a_picture_without_room_stays_a_normal_and_can_be_replayed(tiles, monkeypatch):
    made = synthesize(tiles, "draem", 1, mask_shape="line")
    monkeypatch.setattr(AskedMask, "draw", lambda *arguments: None)
    anomaly = made[0]
    assert anomaly.is_normal
    assert anomaly.provenance.status == "no_placement"
    assert not anomaly.mask.any()
    line = {"provenance": anomaly.provenance.to_json(), "split": "auto", "asked_mask": made.asked.to_json()}
    np.testing.assert_array_equal(replay(json.dumps(line), tiles).image, anomaly.image)


def test_refuses_what_fits_nothing(tiles):
    with pytest.raises(UsageError, match=r"cutpaste_scar takes no mask, so --mask-shape line fits nothing; expected .*draem"):
        synthesize(tiles, "cutpaste_scar", 2, mask_shape="line")
    with pytest.raises(UsageError, match="cutpaste_scar takes no mask"):
        synthesize(tiles, "draem,cutpaste_scar", 2, mask_shape="line")
    with pytest.raises(UnknownName, match="no mask family 'lines'; did you mean Line"):
        synthesize(tiles, "draem", 2, mask_shape="lines")
    with pytest.raises(BadParameter, match="no mask family is long ellipse"):
        synthesize(tiles, "draem", 2, mask_shape="ellipse:long")
    with pytest.raises(UsageError, match=r"add --set draem.foreground=auto"):
        synthesize(tiles, "draem", 2, mask_shape="foreground")
    assert not synthesize(tiles, "draem", 2, mask_shape="foreground", settings=["draem.foreground=auto"])[0].is_normal
