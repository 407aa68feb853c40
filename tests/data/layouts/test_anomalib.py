"""anomalib's `Folder` arguments, and what is not inherited with them: spec datasets.md §13.2, row by row."""

import warnings

import pytest

import flawsmith as fs
from flawsmith.cli.app import run
from flawsmith.core.errors import BadParameter, DataError
from flawsmith.core.samples import GOOD
from flawsmith.data import load
from flawsmith.data.splits import make_split


@pytest.fixture
def root(tmp_path, trees):
    """Ten normals, two more for the test, anomalies 1, 10 and 100 with masks of those names, and 5 of another kind."""
    tree = trees.Tree(tmp_path / "parts")
    tree.images("fine", range(10)).images("fine_test", [1, 2]).images("bad/crack", [1, 10, 100]).images("bad/dent", range(1, 6))
    tree.masks("labels/crack", [1, 10, 100], "_mask.png").masks("labels/dent", range(1, 6), ".png")
    return tree.write()


BAD = ["bad/crack", "bad/dent"]


def counts(data):
    return {(split, defect): count for (_, split, defect), count in data.counts().items()}


def masks(data):
    return {sample.source.path: sample.source.masks for sample in data.samples if not sample.is_normal}


def code(*arguments, **options):
    with pytest.raises(DataError) as caught:
        fs.load_folder(*arguments, **options)
    return caught.value.code


def test_folders_become_sides(root):
    data = fs.load_folder("parts", root, "fine", BAD, "fine_test", "labels")
    assert counts(data) == {("test", "crack"): 3, ("test", "dent"): 5, ("test", GOOD): 2, ("train", GOOD): 10}
    assert data.name == "parts"
    assert make_split(data).policy == "folder"
    assert load(data.root, data.layout).samples == data.samples
    data.require_masks()


def test_relative_folders_are_joined_to_the_root_and_absolute_ones_are_taken(root, monkeypatch):
    wanted = fs.load_folder("parts", root, "fine", BAD, mask_dir="labels").samples
    absolute = fs.load_folder("parts", root, root / "fine", [root / bad for bad in BAD], mask_dir=root / "labels")
    assert absolute.samples == wanted
    monkeypatch.chdir(root)
    assert fs.load_folder("parts", None, "fine", BAD, mask_dir="labels").samples == wanted
    assert code(root=root, normal_dir="../elsewhere") == "E_ROOT"
    assert code(root=root / "bad", normal_dir=root / "fine") == "E_ROOT"
    assert code(root=root, normal_dir="fine", abnormal_dir="worse") == "E_LAYOUT"


def test_masks_pair_by_exact_name(root):
    data = fs.load_folder(root=root, normal_dir="fine", abnormal_dir=BAD, mask_dir="labels")
    assert masks(data)["bad/crack/1.png"] == ("labels/crack/1_mask.png",)
    assert masks(data)["bad/crack/10.png"] == ("labels/crack/10_mask.png",)
    assert masks(data)["bad/crack/100.png"] == ("labels/crack/100_mask.png",)
    (root / "labels/crack/10_mask.png").unlink()
    left = masks(fs.load_folder(root=root, normal_dir="fine", abnormal_dir=BAD, mask_dir="labels"))
    assert {path for path, found in left.items() if found != masks(data)[path]} == {"bad/crack/10.png"}
    assert left["bad/crack/10.png"] == ()


def test_masks_in_one_folder_per_folder_of_anomalies(root):
    listed = fs.load_folder(root=root, normal_dir="fine", abnormal_dir=BAD, mask_dir=["labels/crack", "labels/dent"])
    assert masks(listed) == masks(fs.load_folder(root=root, normal_dir="fine", abnormal_dir=BAD, mask_dir="labels"))


def test_two_anomalies_cannot_share_a_mask(root, trees):
    trees.Tree(root).masks("flat", [2, 3, 4, 5, 10, 100]).mask("flat/1.png").write()
    assert code(root=root, normal_dir="fine", abnormal_dir=BAD, mask_dir="flat") == "E_AMBIGUOUS_PAIR"
    trees.Tree(root).mask("labels/crack/7_mask.png").write()
    assert code(root=root, normal_dir="fine", abnormal_dir=BAD, mask_dir="labels") == "E_ORPHAN_MASK"


def test_equal_stems_are_refused(root, trees):
    trees.save(root / "fine/3.jpg", trees.texture(77))
    assert code(root=root, normal_dir="fine") == "E_AMBIGUOUS_PAIR"
    assert len(fs.load_folder(root=root, normal_dir="fine", extensions="png")) == 10


@pytest.mark.parametrize("given", ["jpg", ".jpg", ["JPG"], (".jpg", "png")])
def test_extensions_with_and_without_a_dot(root, trees, given):
    trees.save(root / "fine/20.jpg", trees.texture(77))
    assert len(fs.load_folder(root=root, normal_dir="fine", extensions=given)) == (11 if "png" in given else 1)
    with pytest.raises(BadParameter, match="npy cannot be read"):
        fs.load_folder(root=root, normal_dir="fine", extensions="npy")


def test_hidden_files_are_left_aside_and_counted(root, trees, capsys):
    trees.save(root / "fine/.hidden.png", trees.texture(77))
    assert run(["data", "check", str(root), "--layout", "anomalib:normal_dir=fine,abnormal_dir=bad/crack+bad/dent"]) == 0
    told = capsys.readouterr().out
    assert "1 hidden file or folder was ignored" in told
    assert "20 %" not in told


def test_without_tested_normals_a_fifth_is_drawn(root):
    data = fs.load_folder(root=root, normal_dir="fine", abnormal_dir=BAD)
    assert counts(data)["test", GOOD] == 2
    assert data.notes == ("0.2 of the normals are tested, drawn with seed 0",)
    assert counts(fs.load_folder(root=root, normal_dir="fine", test_split_ratio=0.5)) == {("test", GOOD): 5, ("train", GOOD): 5}
    assert counts(fs.load_folder(root=root, normal_dir="fine", abnormal_dir=BAD, test_split_mode="none")) == {("train", GOOD): 10}


def test_zero_is_a_ratio(root):
    assert counts(fs.load_folder(root=root, normal_dir="fine", test_split_ratio=0)) == {("train", GOOD): 10}
    data = fs.load_folder(root=root, normal_dir="fine", test_split_ratio=0, val_split_mode="from_train", val_split_ratio=0)
    assert counts(data) == {("train", GOOD): 10}


def test_zero_is_a_seed_and_none_is_not(root):
    def drawn(seed):
        data = fs.load_folder(root=root, normal_dir="fine", test_split_ratio=0.5, seed=seed)
        return {sample.id for sample in data.samples if sample.split == "test"}

    assert drawn(0) == drawn(0)
    assert len({frozenset(drawn(seed)) for seed in range(4)}) > 1
    with pytest.raises(BadParameter, match="seed is None; expected an integer, 0 among them"):
        fs.load_folder(root=root, normal_dir="fine", seed=None)


def test_ids_tell_the_folder_and_adding_files_moves_few(root, trees):
    first = fs.load_folder(root=root, normal_dir="fine", test_split_ratio=0.5)
    assert all(sample.id.startswith("parts/train/good/") for sample in first.samples)
    trees.Tree(root).images("bad/other", [1]).write()
    again = fs.load_folder(root=root, normal_dir="fine", abnormal_dir="bad/other", test_split_ratio=0.5)
    assert {s.id: s.split for s in first.samples}.items() <= {s.id: s.split for s in again.samples}.items()


def test_the_old_ratio_is_taken_with_a_warning(root):
    with pytest.warns(FutureWarning, match="normal_split_ratio is deprecated"):
        data = fs.load_folder(root=root, normal_dir="fine", normal_split_ratio=0.5)
    assert counts(data)["test", GOOD] == 5
    assert "normal_split_ratio" not in data.layout
    assert "test_split_ratio=0.5" in data.layout
    with pytest.raises(BadParameter, match="disagree"):
        fs.load_folder(root=root, normal_dir="fine", normal_split_ratio=0.5, test_split_ratio=0.2)


def test_validation_is_not_the_test(root):
    data = fs.load_folder(root=root, normal_dir="fine", abnormal_dir=BAD, normal_test_dir="fine_test")
    assert not any(sample.split == "val" for sample in data.samples)
    trained = fs.load_folder(
        root=root, normal_dir="fine", abnormal_dir=BAD, normal_test_dir="fine_test", val_split_mode="from_train"
    )
    assert counts(trained) == {("test", "crack"): 3, ("test", "dent"): 5, ("test", GOOD): 2, ("train", GOOD): 5, ("val", GOOD): 5}
    assert trained.flags == ()
    with pytest.raises(BadParameter, match="expected from_train, or allow_test_as_val=true"):
        fs.load_folder(root=root, normal_dir="fine", abnormal_dir=BAD, val_split_mode="from_test")
    for mode in ("same_as_test", "synthetic"):
        with pytest.raises(BadParameter, match=f"{mode} is not offered"):
            fs.load_folder(root=root, normal_dir="fine", abnormal_dir=BAD, val_split_mode=mode, allow_test_as_val=True)


def test_a_part_of_the_test_as_validation_is_stamped_on_every_split(root):
    named = {"root": root, "normal_dir": "fine", "abnormal_dir": BAD, "normal_test_dir": "fine_test"}
    data = fs.load_folder(**named, val_split_mode="from_test", allow_test_as_val=True)
    assert counts(data) == {
        ("test", "crack"): 1,
        ("test", "dent"): 2,
        ("test", GOOD): 1,
        ("train", GOOD): 10,
        ("val", "crack"): 2,
        ("val", "dent"): 3,
        ("val", GOOD): 1,
    }
    split = make_split(data)
    assert split.flags == ("validation is 0.5 of the test (allow_test_as_val): choices made on it have seen its like",)
    assert (
        split.digest
        != make_split(load(root, data.layout.replace("allow_test_as_val=true", "allow_test_as_val=true,seed=5"))).digest
    )


def test_one_image_is_on_one_side(root):
    assert code(root=root, normal_dir=["fine", "fine"]) == "E_DUPLICATE"
    assert code(root=root, normal_dir="fine", normal_test_dir="fine") == "E_DUPLICATE"
    whole = fs.load_folder(root=root, normal_dir=".", abnormal_dir=[*BAD, "fine_test"], mask_dir="labels", test_split_ratio=0)
    assert counts(whole)["train", GOOD] == 10


def test_the_command_line_takes_the_same(root, capsys):
    layout = "anomalib:normal_dir=fine,abnormal_dir=bad/crack+bad/dent,normal_test_dir=fine_test,mask_dir=labels,seed=0"
    assert run(["data", "check", str(root), "--layout", layout]) == 0
    told = capsys.readouterr().out
    assert "20 images, 1 product" in told
    assert "8 test anomalies, 2 test normals, 10 train normals" in told
    for wrong, words in (
        ("anomalib:abnormal_dir=bad", "normal_dir"),
        ("anomalib:normal_dir=fine,seed=none", "seed"),
        ("anomalib:normal_dir=fine,test_split_ratio=1.5", "test_split_ratio"),
        ("anomalib:normal_dir=fine,val_split_mode=from_test", "allow_test_as_val=true"),
        ("anomalib:normal_dir=fine,val_split_mode=same_as_test", "same_as_test is not offered"),
        ("anomalib:normaldir=fine", "normal_dir"),
    ):
        assert run(["data", "check", str(root), "--layout", wrong]) == 2
        line = capsys.readouterr().err
        assert words in line
        assert len(line.splitlines()) == 1
        assert "{" not in line
    flagged = f"{layout},val_split_mode=from_test,allow_test_as_val=true"
    assert run(["data", "check", str(root), "--layout", flagged]) == 0
    assert "validation is 0.5 of the test" in capsys.readouterr().out
    assert run(["data", "check", str(root), "--layout", "anomalib:normal_dir=fine,normal_split_ratio=0.3"]) == 0
    assert "warning: normal_split_ratio is deprecated" in capsys.readouterr().err


def test_the_layout_is_never_guessed(root):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError) as caught:
            load(root)
    assert caught.value.code == "E_LAYOUT"
    assert "anomalib" not in str(caught.value)


def test_every_argument_of_anomalib_is_there():
    import inspect

    folders = ["name", "root", "normal_dir", "abnormal_dir", "normal_test_dir", "mask_dir", "normal_split_ratio", "extensions"]
    wanted = [*folders, "test_split_mode", "test_split_ratio", "val_split_mode", "val_split_ratio", "seed"]
    assert list(inspect.signature(fs.load_folder).parameters)[: len(wanted)] == wanted
