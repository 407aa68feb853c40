"""The networks behind the image-quality metrics: names, shapes and counts of the published files, arithmetic, what is refused."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from flawsmith.core.errors import BadParameter, DamagedFile, DataError, NeedUnmet, UnknownName, UsageError
from flawsmith.encoders import weight_files
from flawsmith.encoders.inception_fid import BlockA, BlockE, InceptionFid, resized_as_tensorflow_1
from flawsmith.encoders.lpips_trunks import AlexNet, Vgg16
from flawsmith.encoders.perceptual import Lpips, signed
from flawsmith.encoders.quality_nets import quality_nets
from flawsmith.encoders.weight_files import REFERENCES, expected_shapes, read_weight_file, read_weights

SEEDED = torch.Generator().manual_seed(0)


def drawn(shapes):
    generator = torch.Generator().manual_seed(1)
    return {
        key: (torch.rand if key.startswith("lin") or key.endswith("var") else torch.randn)(shape, generator=generator) * 0.1
        for key, shape in shapes.items()
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files of random weights, one for each purpose, with what else the published ones hold."""
    folder = tmp_path_factory.mktemp("weights")
    for role in ("alexnet", "lpips-alexnet", "lpips-vgg16"):
        torch.save(drawn(expected_shapes(role)), folder / f"{role}.pth")
    whole = drawn(expected_shapes("alexnet")) | {"classifier.1.weight": torch.zeros(2, 2), "classifier.1.bias": torch.zeros(2)}
    torch.save(whole, folder / "alexnet.pth")
    return folder


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "inception.safetensors"
    table = drawn(expected_shapes("inception-v3-fid"))
    save_file(table | {"Mixed_7c.branch_pool.bn.num_batches_tracked": torch.tensor(3)}, path)
    return path


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_inception_network_has_the_names_and_shapes_of_the_2015_graph():
    shapes = expected_shapes("inception-v3-fid")
    assert len(shapes) == 94 * 5 + 2
    with torch.device("meta"):
        assert count(InceptionFid()) == 23_850_960
    assert shapes["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3)
    assert shapes["Conv2d_4a_3x3.bn.running_var"] == (192,)
    assert shapes["Mixed_5b.branch5x5_2.conv.weight"] == (64, 48, 5, 5)
    assert shapes["Mixed_5d.branch_pool.conv.weight"] == (64, 288, 1, 1)
    assert shapes["Mixed_6a.branch3x3.conv.weight"] == (384, 288, 3, 3)
    assert shapes["Mixed_6b.branch7x7_2.conv.weight"] == (128, 128, 1, 7)
    assert shapes["Mixed_6e.branch7x7dbl_5.conv.weight"] == (192, 192, 1, 7)
    assert shapes["Mixed_6d.branch7x7dbl_4.conv.weight"] == (160, 160, 7, 1)
    assert shapes["Mixed_7a.branch7x7x3_4.conv.weight"] == (192, 192, 3, 3)
    assert shapes["Mixed_7b.branch3x3_2a.conv.weight"] == (384, 384, 1, 3)
    assert shapes["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)
    assert shapes["Mixed_7c.branch1x1.conv.weight"] == (320, 2048, 1, 1)
    assert shapes["fc.weight"] == (1008, 2048)
    assert shapes["fc.bias"] == (1008,)


@pytest.mark.parametrize(
    ("trunk", "parameters", "tensors", "channels", "sides"),
    [
        (AlexNet, 2_469_696, 10, (64, 192, 384, 256, 256), (63, 31, 15, 15, 15)),
        (Vgg16, 14_714_688, 26, (64, 128, 256, 512, 512), (256, 128, 64, 32, 16)),
    ],
)
def test_trunks_have_torchvisions_names_and_five_features(trunk, parameters, tensors, channels, sides):
    with torch.device("meta"):
        network = trunk()
    assert count(network) == parameters
    assert len(network.state_dict()) == tensors
    found = network(torch.zeros(1, 3, 256, 256, device="meta"))
    assert tuple(each.shape[1] for each in found) == channels == trunk.channels
    assert tuple(each.shape[2] for each in found) == sides


def test_names_of_trunks_and_heads():
    assert list(expected_shapes("alexnet"))[:2] == ["features.0.weight", "features.0.bias"]
    assert {int(key.split(".")[1]) for key in expected_shapes("alexnet")} == {0, 3, 6, 8, 10}
    assert {int(key.split(".")[1]) for key in expected_shapes("vgg16")} == {0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28}
    assert expected_shapes("vgg16")["features.28.weight"] == (512, 512, 3, 3)
    assert expected_shapes("lpips-vgg16") == {
        f"lin{i}.model.1.weight": (1, c, 1, 1) for i, c in enumerate((64, 128, 256, 512, 512))
    }
    assert sum(shape[1] for shape in expected_shapes("lpips-alexnet").values()) == 1152


def test_the_average_counts_no_padding_and_the_last_block_takes_the_largest():
    """On a constant picture an average that counted the padding would differ at the border; a maximum differs from an average."""
    block = BlockA(8, 4)
    one = torch.ones(1, 8, 5, 5)
    pooled = block.pooled(one)
    assert torch.allclose(pooled, pooled[..., 2:3, 2:3].expand_as(pooled))
    ramp = torch.rand(1, 8, 6, 6, generator=SEEDED)
    last, before = BlockE(8, largest=True), BlockE(8, largest=False)
    before.load_state_dict(last.state_dict())
    last.eval()
    before.eval()
    assert torch.allclose(last.pooled(ramp), last.branch_pool(F.max_pool2d(ramp, 3, 1, 1)))
    assert not torch.allclose(last.pooled(ramp), before.pooled(ramp))
    assert last(ramp).shape == (1, 2048, 6, 6)


def test_the_resize_is_that_of_tensorflow_1():
    """Pixel i lies at i·H/side: of a ramp doubled in size every second pixel is an old one, and the last repeats."""
    ramp = torch.tensor([[[[0.0, 10.0, 30.0]]]])
    assert resized_as_tensorflow_1(ramp, 6)[0, 0, 0].tolist() == [0, 5, 10, 20, 30, 30]
    picture = torch.rand(1, 3, 7, 9, generator=SEEDED)
    found = resized_as_tensorflow_1(picture, 5)[0, 1]
    for i in range(5):
        y, x = np.float32(i * np.float32(7 / 5)), np.float32((4 - i) * np.float32(9 / 5))
        a, b = int(y), int(x)
        c, d = min(a + 1, 6), min(b + 1, 8)
        old = picture[0, 1].numpy()
        top = old[a, b] + (old[a, d] - old[a, b]) * (x - b)
        low = old[c, b] + (old[c, d] - old[c, b]) * (x - b)
        assert float(found[i, 4 - i]) == pytest.approx(top + (low - top) * (y - a), abs=1e-6)


def test_the_inception_network_sees_pictures_of_any_size(inception):
    net = quality_nets("inception-v3-fid", [inception]).sets
    rng = np.random.default_rng(0)
    seen = net.see([rng.integers(0, 256, (40, 60, 3), np.uint8) for _ in range(2)])
    assert seen.pooled.shape == (2, 2048)
    assert seen.logits.shape == (2, 1008)
    table = read_weight_file(inception).tensors
    assert np.allclose(seen.logits, seen.pooled @ table["fc.weight"].numpy().T, rtol=1e-4, atol=1e-3 * np.abs(seen.logits).max())
    assert net.suffix == net.label == f"inception-v3-{net.weights[:8]}"
    assert not np.array_equal(seen.pooled[0], seen.pooled[1])


def test_the_distance_is_lpips_as_it_is_defined(files):
    trunk, heads = read_weight_file(files / "alexnet.pth"), read_weight_file(files / "lpips-alexnet.pth")
    net = Lpips(trunk, heads)
    rng = np.random.default_rng(2)
    one, other = (rng.integers(0, 256, (64, 80, 3), np.uint8) for _ in range(2))
    network = AlexNet()
    network.load_state_dict(dict(trunk.tensors))
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    features = []
    for image in (one, other):
        x = torch.from_numpy(image).float() / 127.5 - 1
        features.append(network(((x - shift) / scale).permute(2, 0, 1)[None]))
    expected = 0.0
    for number, (a, b) in enumerate(zip(*features, strict=True)):
        a, b = (f / (f.pow(2).sum(1, keepdim=True).sqrt() + 1e-10) for f in (a, b))
        expected += float(F.conv2d((a - b) ** 2, heads.tensors[f"lin{number}.model.1.weight"]).mean())
    left, right = net.vectors(signed([one, other])).astype(np.float64)
    assert float(((left - right) ** 2).sum()) == pytest.approx(expected, rel=1e-5)
    assert net.suffix == f"alexnet-{trunk.sha256[:8]}-{heads.sha256[:8]}"


def test_only_the_published_files_give_names_without_a_suffix(files, inception, monkeypatch):
    known = {role: (name, digest) for role, (name, digest) in REFERENCES.items()}
    for role in ("alexnet", "lpips-alexnet"):
        known[role] = ("published", read_weight_file(files / f"{role}.pth").sha256)
    known["inception-v3-fid"] = ("published", read_weight_file(inception).sha256)
    monkeypatch.setattr(weight_files, "REFERENCES", known)
    nets = quality_nets("auto", [files / "alexnet.pth", files / "lpips-alexnet.pth", inception])
    assert (nets.pairs.suffix, nets.pairs.label) == ("", "lpips-v0.1-alexnet")
    assert (nets.sets.suffix, nets.sets.label) == ("", "inception-v3-fid")
    known["lpips-alexnet"] = ("published", "0" * 64)
    assert quality_nets("auto", [files / "alexnet.pth", files / "lpips-alexnet.pth"]).pairs.suffix.startswith("alexnet-")


def test_published_digests_begin_as_the_published_names_say():
    for name, digest in REFERENCES.values():
        assert len(digest) == 64
        if name.startswith(("pt_", "alexnet", "vgg16")):
            assert digest.startswith(name.removesuffix(".pth").rpartition("-")[2])


def test_offline_networks():
    rng = np.random.default_rng(3)
    images = [rng.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(2)]
    nets = quality_nets()
    seen = nets.sets.see(images)
    assert (nets.sets.suffix, nets.pairs.suffix) == ("efficientnet-lite0", "efficientnet-lite0")
    assert seen.pooled.shape == (2, 1280)
    assert seen.logits.shape == (2, 1000)
    vectors = nets.pairs.vectors(signed(images))
    assert vectors.shape == (2, 32 * 32**2 + 24 * 16**2 + 40 * 8**2 + 112 * 4**2 + 320 * 2**2)
    # five layers of unit features of ReLUs, or of sums without one: the length is 5 wherever no position is all zero
    assert np.allclose((vectors.astype(float) ** 2).sum(1), 5, atol=0.05)


def test_the_random_pyramid_is_its_seed():
    image = np.random.default_rng(4).integers(0, 256, (64, 64, 3), np.uint8)
    made = [quality_nets(name) for name in ("random-0", "random-0", "random-1")]
    assert [net.sets.suffix for net in made] == ["random-0", "random-0", "random-1"]
    seen = [net.sets.see([image]) for net in made]
    assert seen[0].logits is None
    assert seen[0].pooled.shape == (1, 128)
    assert np.array_equal(seen[0].pooled, seen[1].pooled)
    assert not np.array_equal(seen[0].pooled, seen[2].pooled)
    vectors = [net.pairs.vectors(signed([image])) for net in made]
    assert np.array_equal(vectors[0], vectors[1])
    assert not np.array_equal(vectors[0], vectors[2])


@pytest.mark.parametrize("value", [1.01, -1.5, 255.0])
def test_values_outside_the_range_of_lpips_are_refused_unless_asked_for(value):
    net = quality_nets("random-0").pairs
    images = torch.zeros(1, 3, 32, 32)
    images[0, 0, 0, 0] = value
    with pytest.raises(DataError, match=r"expected \[−1, 1\]"):
        net.vectors(images)
    assert np.isfinite(net.vectors(images, check_range=False)).all()
    images[0, 0, 0, 0] = math.nan
    with pytest.raises(DataError, match="not finite"):
        net.vectors(images, check_range=False)


def test_pictures_that_do_not_fit_are_refused():
    net = quality_nets("random-0")
    with pytest.raises(DataError, match="sides of at least 32"):
        net.pairs.vectors(torch.zeros(1, 3, 31, 40))
    with pytest.raises(DataError, match="expected floats N×3×H×W"):
        net.pairs.vectors(torch.zeros(1, 3, 40, 40, dtype=torch.uint8))
    with pytest.raises(DataError, match="expected uint8 H×W×3"):
        net.sets.see([np.zeros((40, 40), np.uint8)])
    with pytest.raises(DataError, match="expected one size"):
        net.sets.see([np.zeros((40, 40, 3), np.uint8), np.zeros((40, 41, 3), np.uint8)])


def test_files_that_are_no_weights_are_refused(tmp_path, files):
    with pytest.raises(DamagedFile, match="is no file"):
        read_weights([tmp_path / "none.pth"])
    for name, content in (("src.json", b"{}"), ("text.pth", b"no weights"), ("broken.safetensors", b"\xff" * 40)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DamagedFile) as refused:
            read_weights([tmp_path / name])
        assert str(refused.value) == (
            f"{tmp_path / name} cannot be read as weights; expected a .pth state dict or .safetensors of one of: "
            "inception-v3-fid, alexnet, vgg16, lpips-alexnet, lpips-vgg16: give the right file"
        )
    odd = tmp_path / "odd.pth"
    torch.save({"weight": torch.zeros(1)}, odd)
    with pytest.raises(DamagedFile, match=r"holds weight….*inception-v3-fid"):
        read_weights([odd])
    with pytest.raises(BadParameter, match="are both for alexnet"):
        read_weights([files / "alexnet.pth", files / "alexnet.pth"])


class Hostile:
    def __reduce__(self):
        return (print, ("run",))


def test_a_file_with_code_in_it_is_not_run(tmp_path, capsys):
    path = tmp_path / "hostile.pth"
    torch.save({"features.0.weight": Hostile()}, path)
    with pytest.raises(DamagedFile):
        read_weights([path])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop("lin3.model.1.weight"), "lin3.model.1.weight is missing"),
        (lambda t: t.update(extra=torch.zeros(1)), "extra is unexpected"),
        (lambda t: t.update({"lin0.model.1.weight": torch.zeros(1, 63, 1, 1)}), r"\(1, 63, 1, 1\), not \(1, 64, 1, 1\)"),
        (lambda t: t["lin0.model.1.weight"].fill_(math.nan), "not finite"),
        (lambda t: t["lin0.model.1.weight"].fill_(-1), "negative weights"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, change, told):
    table = drawn(expected_shapes("lpips-alexnet"))
    change(table)
    torch.save(table, tmp_path / "heads.pth")
    with pytest.raises(DamagedFile, match=told):
        read_weights([tmp_path / "heads.pth"])


def test_what_is_asked_for_must_be_there(files, inception):
    with pytest.raises(NeedUnmet, match=r"pt_inception-2015-12-05-6726825d.pth \(SHA-256 6726825d"):
        quality_nets("inception-v3-fid")
    with pytest.raises(NeedUnmet, match="the weights of alexnet"):
        quality_nets("auto", [files / "lpips-alexnet.pth"])
    with pytest.raises(NeedUnmet, match="the weights of lpips-alexnet"):
        quality_nets("lpips-alexnet", [files / "alexnet.pth"])
    with pytest.raises(BadParameter, match="expected heads of the same trunk"):
        Lpips(read_weight_file(files / "alexnet.pth"), read_weight_file(files / "lpips-vgg16.pth"))
    for extractor in ("efficientnet-lite0", "random-3"):
        with pytest.raises(UsageError, match="brings its own weights"):
            quality_nets(extractor, [inception])
    with pytest.raises(UsageError, match="nothing here needs"):
        quality_nets("lpips-alexnet", [files / "alexnet.pth", files / "lpips-alexnet.pth", files / "lpips-vgg16.pth"])


@pytest.mark.parametrize("name", ["random-", "random-x", "random--1"])
def test_a_random_pyramid_needs_a_seed(name):
    with pytest.raises(BadParameter, match="expected a whole number"):
        quality_nets(name)


def test_an_unknown_extractor_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean inception-v3-fid"):
        quality_nets("inception_v3")
