import struct

import cv2
import numpy as np
import pytest

from flawsmith.core.errors import BadParameter, DamagedFile, NeedUnmet
from flawsmith.masks.foreground import foreground_mask, parse_rule
from flawsmith.masks.saliency import SIDE, OnnxSegmenter


def number(value):
    parts = bytearray()
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def told(field, value):
    """One field of a protocol buffer: a number, or anything with a length."""
    if isinstance(value, int):
        return number(field << 3) + number(value)
    value = value.encode() if isinstance(value, str) else value
    return number(field << 3 | 2) + number(len(value)) + value


def tensor(name, array):
    dims = b"".join(told(1, side) for side in array.shape)
    return dims + told(2, 1) + told(8, name) + told(9, array.astype("<f4").tobytes())


def port(name, *shape):
    dims = b"".join(told(1, told(1, side)) for side in shape)
    return told(1, name) + told(2, told(1, told(1, 1) + told(2, dims)))


def integers(name, *values):
    return told(1, name) + b"".join(told(8, value) for value in values) + told(20, 7)


def network(weights, bias, output=(1, 1, SIDE, SIDE)):
    """An ONNX file of one 1×1 convolution over RGB."""
    node = b"".join(told(1, name) for name in ("image", "weights", "bias")) + told(2, "map") + told(3, "conv") + told(4, "Conv")
    node += told(5, integers("kernel_shape", 1, 1))
    kernel = np.array(weights, np.float32).reshape(-1, 3, 1, 1)
    graph = told(1, node) + told(2, "graph") + told(5, tensor("weights", kernel))
    graph += told(5, tensor("bias", np.full(len(kernel), bias, np.float32)))
    graph += told(11, port("image", 1, 3, SIDE, SIDE)) + told(12, port("map", *output))
    return told(1, 8) + told(8, told(1, "") + told(2, 13)) + told(7, graph)


def red_disc():
    mask = np.zeros((120, 160), np.uint8)
    cv2.circle(mask, (80, 60), 40, 1, -1)
    image = np.full((120, 160, 3), 40, np.uint8)
    image[mask > 0] = (200, 40, 40)
    return image, mask.view(bool)


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


def test_a_network_in_a_folder_finds_what_it_was_made_to_find(tmp_path):
    """The map is the normalised red channel: above 0 where red is above ImageNet's mean of 0.485."""
    (tmp_path / "model.onnx").write_bytes(network([1, 0, 0], 0.0))
    image, disc = red_disc()
    found = foreground_mask(parse_rule(f"model:{tmp_path}"), image, "p/train/good/0")
    assert overlap(found, disc) > 0.97


def test_a_segmenter_may_be_any_object():
    image, disc = red_disc()

    class Red:
        def segment(self, image):
            return image[:, :, 0] > 100

    found = foreground_mask(parse_rule("model"), image, "p/train/good/0", segmenter=Red())
    np.testing.assert_array_equal(found, disc)


def test_a_small_answer_counts_as_failed():
    image, _ = red_disc()

    class Speck:
        def segment(self, image):
            return np.pad(np.ones((3, 3), bool), ((0, 117), (0, 157)))

    assert foreground_mask(parse_rule("model"), image, "p/train/good/0", segmenter=Speck()).all()


def test_answers_that_are_no_masks_are_refused():
    image, _ = red_disc()

    class Wrong:
        def segment(self, image):
            return np.ones((4, 4), bool)

    with pytest.raises(BadParameter, match=r"answered \(4, 4\) bool; expected bool \(120, 160\)"):
        foreground_mask(parse_rule("model"), image, "p/train/good/0", segmenter=Wrong())
    with pytest.raises(NeedUnmet, match="write model:FOLDER"):
        foreground_mask(parse_rule("model"), image, "p/train/good/0")


def test_a_missing_file_is_named_and_nothing_is_downloaded(tmp_path):
    with pytest.raises(BadParameter, match=r"there is no file .*model\.onnx; expected a saliency .*nothing is downloaded"):
        foreground_mask(parse_rule(f"model:{tmp_path}"), red_disc()[0], "p/train/good/0")


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "model.onnx").write_bytes(struct.pack("<8f", *range(8)))
    with pytest.raises(DamagedFile, match=r"model\.onnx is no ONNX network"):
        OnnxSegmenter(str(tmp_path))


def test_a_network_of_another_shape_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(network([[1, 0, 0], [0, 1, 0]], 0.0, (1, 2, SIDE, SIDE)))
    with pytest.raises(BadParameter, match=r"expected one map"):
        OnnxSegmenter(str(tmp_path)).segment(red_disc()[0])
