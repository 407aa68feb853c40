"""Miniatures of published data sets: two products each, images of 32 to 64 px, in the naming and encodings of the release.

Knows nothing of flawsmith.data. Each function returns a `Miniature` to be written; it carries what a reader must find in it.
"""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

_spec = importlib.util.spec_from_file_location("flawsmith_test_trees", Path(__file__).with_name("trees.py"))
trees = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(trees)

GOOD = "good"


class Miniature(trees.Tree):
    """Files to be written in a shuffled order, and the truth about them.

    counts: (product, split, defect) → images. truth: image → its mask, bool H×W, of every image. classed: image → kind → its
    pixels, where the values of masks are class ids.
    """

    def __init__(self, root: Path, layout: str) -> None:
        super().__init__(root)
        self.layout = layout
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.truth: dict[str, np.ndarray] = {}
        self.classed: dict[str, dict[str, np.ndarray]] = {}

    def picture(self, path: str, kind: tuple[str, str, str], size: tuple[int, int], *, grey: bool = False) -> Miniature:
        """One image of (product, split, defect); its mask is blank until one is given."""
        self.number += 1
        seed = self.number
        self.counts[kind] += 1
        self.truth[path] = np.zeros(size, bool)
        pixels = trees.texture(seed, *size)
        return self._later(lambda: trees.save(self.root / path, pixels[..., 0] if grey else pixels))

    def mask_of(
        self, image: str, path: str, value: int = 255, *, kind: str = "", blank: bool = False, edge: int = 0
    ) -> Miniature:
        """A mask file: a square at a place of its own. `edge` is the value of a rim around it that is not part of it."""
        self.number += 1
        height, width = self.truth[image].shape
        row, column = 4 + self.number * 5 % (height - 14), 4 + self.number * 7 % (width - 14)
        values = np.zeros((height, width), np.uint8)
        if not blank:
            values[row - 2 : row + 10, column - 2 : column + 10] = edge
            values[row : row + 8, column : column + 8] = value
            self.truth[image] = self.truth[image] | (values == value)
        return self._later(lambda: trees.save(self.root / path, values))

    def values_of(self, image: str, path: str, areas: Sequence[tuple[int, str, int]]) -> Miniature:
        """A mask file of several values: (value, kind, columns) side by side."""
        values = np.zeros(self.truth[image].shape, np.uint8)
        left = 2
        for value, kind, columns in areas:
            values[3:13, left : left + columns] = value
            left += columns + 1
            self.classed.setdefault(image, {})[kind] = values == value
        self.truth[image] = values > 0
        return self._later(lambda: trees.save(self.root / path, values))


def _mvtec_form(
    tree: Miniature,
    products: Mapping[str, Mapping[str, int]],
    *,
    sizes: Sequence[tuple[int, int]] = ((48, 48), (40, 56)),
    good: tuple[str, str] = (GOOD, GOOD),
    ending: str = "_mask",
    images: Sequence[str] = (".png", ".png"),
    masks: Sequence[str] = (".png", ".png"),
    called: Mapping[str, str] | None = None,
    digits: int = 3,
    validation: int = 0,
    edge: int = 0,
) -> Miniature:
    """train/good of 3, test/good of 2, and so many of each defect; `called` names the defects of folders that tell no kind."""
    for number, (product, defects) in enumerate(products.items()):
        size = sizes[number % len(sizes)]
        normals = [("train", 3, "train"), ("test", 2, "test"), *([("validation", validation, "val")] if validation else [])]
        for folder, count, split in normals:
            for index in range(count):
                path = f"{product}/{folder}/{good[0]}/{index:0{digits}d}{images[number]}"
                tree.picture(path, (product, split, GOOD), size, grey=product in ("grid", "screw", "zipper"))
        for defect, count in defects.items():
            for index in range(count):
                stem = f"{index:0{digits}d}"
                image = f"{product}/test/{defect}/{stem}{images[number]}"
                tree.picture(image, (product, "test", (called or {}).get(defect, defect)), size)
                tree.mask_of(image, f"{product}/ground_truth/{defect}/{stem}{ending}{masks[number]}", edge=edge)
    return tree


def mvtec(root: Path) -> Miniature:
    """MVTec AD: wood has a `combined` folder; grid is single channel."""
    return _mvtec_form(Miniature(root, "mvtec"), {"grid": {"bent": 2, "thread": 1}, "wood": {"color": 2, "combined": 1}})


def mpdd(root: Path) -> Miniature:
    """MPDD: one defect per product, or several."""
    products = {"bracket_black": {"hole": 2, "scratches": 3}, "tubes": {"anomalous": 2}}
    return _mvtec_form(Miniature(root, "mpdd"), products)


def wfdd(root: Path) -> Miniature:
    """WFDD: antialiased masks."""
    products = {"grey_cloth": {"line": 2, "string": 1}, "pink_flower": {"hole": 2}}
    return _mvtec_form(Miniature(root, "wfdd"), products, edge=90)


def btad(root: Path) -> Miniature:
    """BTAD inside its folder; 01 has BMP images and PNG masks, 02 is all PNG, 03 all BMP."""
    tree = Miniature(root / "BTech_Dataset_transformed", "btad")
    _mvtec_form(
        tree,
        {"01": {"ko": 3}, "02": {"ko": 2}, "03": {"ko": 2}},
        good=("ok", "ok"),
        ending="",
        images=(".bmp", ".png", ".bmp"),
        masks=(".png", ".png", ".bmp"),
        called={"ko": "unknown"},
        digits=4,
    )
    return tree


def loco(root: Path) -> Miniature:
    """MVTec LOCO AD: a folder of masks for each image, coded values."""
    tree = Miniature(root, "loco")
    codes = {"1_extra_pushpin": (255, 40, False), "2_missing_pushpin": (254, 1.0, True), "3_broken_pin": (253, 0.5, True)}
    table = [
        {"defect_name": name, "pixel_value": value, "saturation_threshold": saturation, "relative_saturation": relative}
        for name, (value, saturation, relative) in codes.items()
    ]
    for product, size in (("pushpins", (40, 64)), ("juice_bottle", (64, 32))):
        tree.text(f"{product}/defects_config.json", json.dumps(table))
        for folder, split, count in (("train", "train", 3), ("validation", "val", 2), ("test", "test", 2)):
            for index in range(count):
                tree.picture(f"{product}/{folder}/good/{index:03d}.png", (product, split, GOOD), size)
        for defect, kinds in (
            ("logical_anomalies", [["1_extra_pushpin", "1_extra_pushpin", "2_missing_pushpin"], ["2_missing_pushpin"]]),
            ("structural_anomalies", [["3_broken_pin"], ["3_broken_pin", "1_extra_pushpin"], ["1_extra_pushpin"]]),
        ):
            for index, regions in enumerate(kinds):
                image = f"{product}/test/{defect}/{index:03d}.png"
                tree.picture(image, (product, "test", defect), size)
                for number, name in enumerate(regions):
                    tree.mask_of(image, f"{product}/ground_truth/{defect}/{index:03d}/{number:03d}.png", codes[name][0])
    return tree


def mvtec3d(root: Path) -> Miniature:
    """MVTec 3D-AD: photographs, masks and heights in folders beside each other; normals have blank masks."""
    tree = Miniature(root, "mvtec3d")
    for product, size, defects in (("bagel", (48, 48), {"crack": 2, "combined": 1}), ("rope", (40, 56), {"open": 2})):
        for folder, split, kind, count in (
            ("train", "train", GOOD, 3),
            ("validation", "val", GOOD, 2),
            ("test", "test", GOOD, 2),
            *(("test", "test", defect, count) for defect, count in defects.items()),
        ):
            for index in range(count):
                home = f"{product}/{folder}/{kind}"
                image = f"{home}/rgb/{index:03d}.png"
                tree.picture(image, (product, split, kind), size)
                heights = np.full((*size, 3), 0.5, np.float32)[..., 0]
                tree._later(lambda path=f"{home}/xyz/{index:03d}.tiff", z=heights: trees.save(root / path, z))
                if folder == "test":
                    tree.mask_of(image, f"{home}/gt/{index:03d}.png", blank=kind == GOOD)
    return tree


PCB = ("bent", "melt", "scratch", "missing")
CAPSULES = ("bubble", "discolor", "scratch", "leak", "misshape")


def visa(root: Path, protocol: str = "1cls") -> Miniature:
    """VisA as released: .JPG, values of masks are class ids, splits in tables. `protocol` is for the truth, not the files."""
    tree = Miniature(root, "visa" if protocol == "1cls" else f"visa:protocol={protocol}")
    rows: dict[str, list[str]] = {name: ["object,split,label,image,mask"] for name in ("1cls", "2cls_fewshot", "2cls_highshot")}
    trained = {"1cls": (3, 0), "2cls_fewshot": (1, 1), "2cls_highshot": (4, 2)}
    for product, size, kinds, digits in (("pcb1", (40, 56), PCB, 4), ("capsules", (48, 48), CAPSULES, 3)):
        for index in range(5):
            image = f"{product}/Data/Images/Normal/{index:0{digits}d}.JPG"
            for name, (normals, _) in trained.items():
                rows[name].append(f"{product},{'train' if index < normals else 'test'},normal,{image},")
            tree.picture(image, (product, "train" if index < trained[protocol][0] else "test", GOOD), size)
        for index, ids in enumerate(([1], [3], [1, 3], [2])):
            image = f"{product}/Data/Images/Anomaly/{index:03d}.JPG"
            mask = f"{product}/Data/Masks/Anomaly/{index:03d}.png"
            for name, (_, anomalies) in trained.items():
                rows[name].append(f"{product},{'train' if index < anomalies else 'test'},anomaly,{image},{mask}")
            split = "train" if index < trained[protocol][1] else "test"
            defect = kinds[ids[0] - 1] if len(ids) == 1 else "combined"
            tree.picture(image, (product, split, defect), size)
            tree.values_of(image, mask, [(value, kinds[value - 1], 6 + value) for value in ids])
    for name, lines in rows.items():
        tree.text(f"split_csv/{name}.csv", "\n".join(lines) + "\n")
    return tree


def visa_pytorch(root: Path) -> Miniature:
    """VisA after spot-diff's script: MVTec AD's form, `bad`, binary masks without ending."""
    products = {"candle": {"bad": 3}, "pcb4": {"bad": 2}}
    return _mvtec_form(Miniature(root, "visa"), products, ending="", images=(".JPG", ".JPG"), called={"bad": "unknown"})


def visa_2cls_pytorch(root: Path) -> Miniature:
    """VisA after spot-diff's script for two classes: anomalies in train too, masks under ground_truth/SPLIT/bad."""
    tree = Miniature(root, "visa")
    for split, count in (("train", 3), ("test", 2)):
        for index in range(count):
            tree.picture(f"cashew/{split}/good/{index:03d}.JPG", ("cashew", split, GOOD), (40, 48))
        for index in range(2):
            image = f"cashew/{split}/bad/{index:03d}.JPG"
            tree.picture(image, ("cashew", split, "unknown"), (40, 48))
            tree.mask_of(image, f"cashew/ground_truth/{split}/bad/{index:03d}.png")
    return tree


def visa_ok_ko(root: Path) -> Miniature:
    """VisA as RealNet and ASBench name it."""
    products = {"fryum": {"ko": 3}, "macaroni1": {"ko": 2}}
    return _mvtec_form(Miniature(root, "visa"), products, good=("ok", "ok"), ending="", called={"ko": "unknown"}, digits=4)


def visa_seas(root: Path) -> Miniature:
    """VisA as SeaS sorts it: a folder for each kind of defect, masks NNN.png."""
    products = {"pcb2": {"bent": 2, "combined": 1}, "candle": {"chunk of wax missing": 2}}
    return _mvtec_form(Miniature(root, "visa"), products, ending="", called={"chunk of wax missing": "chunk_of_wax_missing"})


def dtd(root: Path, classes: Sequence[str] = ("banded", "cracked", "dotted", "grid", "polka-dotted", "zigzagged")) -> trees.Tree:
    """DTD as released: two textures of each class, and the lists that nobody reads."""
    tree = trees.Tree(root)
    for name in classes:
        tree.images(f"images/{name}", [f"{name}_0001", f"{name}_0002"], ".jpg")
    for number in (1, 2):
        for part in ("train", "val", "test"):
            tree.text(f"labels/{part}{number}.txt", "".join(f"{name}/{name}_000{number}.jpg\n" for name in classes))
    return tree


def uniadc(root: Path, products: Mapping[str, Sequence[str]], layout: str) -> Miniature:
    """UniADC's repack: lists beside images; the values of masks are class ids, and `combined`, the last one, has none of its own.

    The first class is listed with its second image first.
    """
    tree = Miniature(root, layout)
    for number, (product, classes) in enumerate(products.items()):
        size = ((48, 48), (40, 56))[number % 2]
        for split in ("train", "test"):
            lines = []
            for label, name in ((0, "normal"), *enumerate(classes, 1)):
                for index in (1, 0) if label == 1 else (0,) if name == "combined" else (0, 1):
                    image = f"images/{product}/{split}_{name}/{index:03d}.png"
                    tree.picture(image, (product, split, GOOD if label == 0 else name), size)
                    line = {"filename": image, "label": label, "label_name": name}
                    if label:
                        line["maskname"] = f"images/{product}/{split}_{name}/{index:03d}_mask.png"
                        ids = [1, 2] if name == "combined" else [label, 1] if label == 2 else [label]
                        tree.values_of(image, line["maskname"], [(value, classes[value - 1], 6) for value in ids])
                    lines.append(json.dumps(line))
            tree.text(f"samples/{split}_{product}.jsonl", "\n".join(lines) + "\n")
    return tree


def mvtec_fs(root: Path) -> Miniature:
    """MVTec-FS in UniADC's repack."""
    return uniadc(root, {"bottle": ("broken_large", "contamination"), "wood": ("color", "hole", "combined")}, "mvtec-fs")


def wfdd_uniadc(root: Path) -> Miniature:
    """WFDD in UniADC's repack."""
    return uniadc(root, {"grey_cloth": ("contaminated", "flecked", "line"), "pink_flower": ("hole", "stain")}, "wfdd-uniadc")


FS_IMAGES = {
    "color/000": [("color", (4, 4, 8))],
    "hole/000": [("hole", (30, 20, 5)), ("hole", (10, 10, 4))],
    "combined/000": [("color", (4, 4, 10)), ("hole", (8, 8, 10))],
    "combined/001": [("hole", (20, 6, 6))],
}
"""Folder and stem of an image → its polygons, in the order of drawing: class, (left, top, side) of a square, border included."""

FS_HEADER = (
    "imageName,imageData,imageHeight,imageWidth,img_id,part,id,img_rel_path,classification_rank,x1,x2,y1,y2,label,rank,points"
)


def mvtec_fs_original(root: Path, tables: bool = True) -> Miniature:
    """MVTec-FS as its authors distribute it: wood with tables (or with labelme files alone), zipper always with those."""
    tree = Miniature(root, "mvtec-fs")
    height, width = 40, 56
    for product in ("wood", "zipper"):
        for side, split, table in (("training", "train", "train"), ("testing", "test", "valid")):
            rows = []
            for path, polygons in FS_IMAGES.items():
                image = f"{product}/{side}/{path}.png"
                kinds = sorted({name for name, _ in polygons})
                tree.picture(image, (product, split, "combined" if len(kinds) > 1 else kinds[0]), (height, width))
                ids, shapes = np.zeros((height, width), np.uint8), []
                for name, (left, top, square) in polygons:
                    ids[top : top + square, left : left + square] = ("color", "hole").index(name) + 1
                    right, bottom = left + square - 1, top + square - 1
                    points = [[left, top], [right, top], [right, bottom], [left, bottom]]
                    shapes.append({"label": name, "points": points, "shape_type": "polygon"})
                    row = [f"{path[-3:]}.png", "", height, width, 0, product, len(rows), f"{side}/{path}.png", ""]
                    rows.append(",".join(map(str, [*row, left, right, top, bottom, name, -1])) + f',"{points}"')
                tree.truth[image] = ids > 0
                tree.classed[image] = {name: ids == value for value, name in ((1, "color"), (2, "hole")) if (ids == value).any()}
                if product == "zipper" or not tables:
                    told = {"shapes": shapes, "imageHeight": height, "imageWidth": width, "imagePath": f"{path[-3:]}.png"}
                    tree.text(f"{product}/{side}/{path}.json", json.dumps(told))
            if tables and product == "wood":
                tree.text(f"CONFIG/wood_config1/{table}.csv", "\n".join([FS_HEADER, *reversed(rows)]) + "\n")
    return tree


KNOWN = {
    "mvtec": mvtec,
    "mpdd": mpdd,
    "wfdd": wfdd,
    "btad": btad,
    "loco": loco,
    "mvtec3d": mvtec3d,
    "visa": visa,
    "visa_pytorch": visa_pytorch,
    "visa_2cls_pytorch": visa_2cls_pytorch,
    "visa_ok_ko": visa_ok_ko,
    "visa_seas": visa_seas,
}
"""Name → its generator; the layout that reads it is the miniature's `layout`."""
