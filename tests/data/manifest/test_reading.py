"""What a list may be, and what it must not: spec datasets.md §13.3, §16 and "Bad input" of §17, on disk, by the command line."""

import codecs
import csv
import io
import json
from multiprocessing import get_context

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flawsmith.cli.app import run
from flawsmith.core.errors import BadParameter, DataError
from flawsmith.core.samples import GOOD, UNKNOWN
from flawsmith.data import load
from flawsmith.data.splits import make_split


@pytest.fixture
def root(tmp_path, trees):
    """Images 1 … 6, `007.png`, a name with a comma, quotes and a line's worth of Unicode; masks of 4, 5 and 6."""
    tree = trees.Tree(tmp_path / "goods")
    tree.images("img", [1, 2, 3, 4, 5, 6, "007", 'plate, "new" größe 漢'])
    tree.masks("mask", [4, 5, 6], ".png").mask("mask/5b.png", row=2, column=3)
    return tree.write()


def text_of(rows, line="\n"):
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(dict.fromkeys(name for row in rows for name in row)), restval="", lineterminator=line)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def listed(root, rows, name="list.csv", line="\n", bom=b""):
    path = root / name
    if name.endswith(".csv"):
        path.write_bytes(bom + text_of(rows, line).encode())
    elif name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    else:
        path.write_bytes(bom + line.join(json.dumps(row) for row in rows).encode())
    return path


def img(name):
    return f"img/{name}.png"


def refused(path, code, *words, capsys):
    """`data check` of a list must say one line with the code and the words."""
    assert run(["data", "check", str(path)]) == 1
    line = capsys.readouterr().err
    assert line.startswith(f"flawsmith: {code}: "), line
    assert len(line.splitlines()) == 1
    for word in words:
        assert word in line
    return line


@pytest.fixture
def fails(capsys):
    return lambda path, code, *words: refused(path, code, *words, capsys=capsys)


FORMS = ["list.csv", "list.parquet", "list.jsonl", "list.json"]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("line", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", codecs.BOM_UTF8])
def test_one_list_in_every_form(root, name, line, bom):
    rows = [
        {"image_path": img("007"), "label": "0", "camera": "01"},
        {"image_path": img(1), "label": "normal", "camera": "2"},
        {"image_path": img('plate, "new" größe 漢'), "label": "good", "camera": None},
        {"image_path": img(4), "label": "anomalous", "mask_path": "mask/4.png"},
        {"image_path": img(5), "label": "1", "mask_path": "mask/5.png;mask/5b.png"},
        {"image_path": img(6), "label": "abnormal", "mask_path": "mask/6.png"},
    ]
    rows = [{name: "" if row.get(name) is None else row[name] for name in rows[0] | rows[3]} for row in rows]
    data = load(listed(root, rows, name, line, bom))
    assert [sample.source.path for sample in data.samples] == [
        img(1),
        img("007"),
        img('plate, "new" größe 漢'),
        img(4),
        img(5),
        img(6),
    ]
    assert data.counts() == {("all", "pool", GOOD): 3, ("all", "pool", UNKNOWN): 3}
    assert data.samples[1].id == "all/pool/good/img/007"
    assert data.samples[1].tags == {"camera": "01"}
    assert data.samples[2].tags == {}
    assert data.samples[4].source.masks == ("mask/5.png", "mask/5b.png")
    assert data.samples[4].mask().sum() == 72
    assert data.samples[0].group == data.samples[0].id
    assert (data.name, data.root, data.layout) == ("list", root, f"manifest:file={name}")
    assert load(data.root, data.layout).samples == data.samples


def test_a_quoted_nothing_is_missing_and_zero_is_not(root):
    path = root / "list.csv"
    path.write_bytes(f'image_path,label,class_name,weight\r\n{img(1)},"0","",""\r\n"{img(4)}",,dent,0\r\n'.encode())
    good, dent = load(path).samples
    assert (good.defect, good.weight) == (GOOD, 1.0) or (dent.defect, dent.weight) == (GOOD, 1.0)
    assert {(s.defect, s.weight) for s in (good, dent)} == {(GOOD, 1.0), ("dent", 0.0)}


@pytest.mark.parametrize("name", ["list.csv", "list.jsonl"])
def test_whole_numbers_may_be_written_as_pandas_does(root, name):
    """An integer column in which a cell is missing becomes one of floats."""
    labels = [(1, "0.0", "", "0.0"), (4, "1.0", "dent", "1.0"), (5, "", "hole", "2.0")]
    rows = [{"image_path": img(n), "label": a, "class_name": b, "class_id": c} for n, a, b, c in labels]
    data = load(listed(root, rows, name))
    assert {sample.source.path: sample.defect for sample in data.samples} == {img(1): GOOD, img(4): "dent", img(5): "hole"}
    assert data.classes == {"all": ("dent", "hole")}


def test_types_of_parquet_are_taken_as_text(root):
    table = pa.table(
        {
            "image_path": pa.array([img(1), img(4), img(5)]).dictionary_encode(),
            "label": pa.array([0, 1, 1], pa.int64()),
            "class_name": pa.array(["good", "dent", "dent"]),
            "weight": pa.array([None, 0.5, 1 / 3], pa.float64()),
            "mask_path": pa.array([None, ["mask/4.png"], ["mask/5.png", "mask/5b.png"]]),
            "bright": pa.array([True, False, None]),
        }
    )
    pq.write_table(table, root / "list.parquet")
    data = load(root / "list.parquet")
    assert [(s.defect, s.weight, len(s.source.masks), dict(s.tags)) for s in data.samples] == [
        ("dent", 0.5, 1, {"bright": "0"}),
        ("dent", 1 / 3, 2, {}),
        (GOOD, 1.0, 0, {"bright": "1"}),
    ]


def test_all_columns(root, trees):
    digest = load(listed(root, [{"image_path": img(4), "label": "1"}])).samples[0].digest()
    row = {
        "image_path": img(4),
        "category": "plate",
        "split": "train",
        "label": "anomalous",
        "class_name": "dent",
        "mask_path": "mask/4.png",
        "mask_encoding": "threshold:127",
        "group_id": "piece 4",
        "weight": "0.25",
        "origin": "synthetic",
        "sha256": digest,
        "reference_sha256": "abc",
        "generator": "draem",
    }
    data = load(listed(root, [row]))
    (sample,) = data.samples
    assert (sample.id, sample.product, sample.split, sample.defect) == ("plate/train/dent/img/4", "plate", "train", "dent")
    assert (sample.group, sample.weight, sample.origin) == ("piece 4", 0.25, "synthetic")
    assert sample.tags == {"reference_sha256": "abc", "generator": "draem"}
    assert (data.mask_rule, data.has_masks) == ("threshold:127", True)
    assert "1 images are synthetic" in data.notes
    assert sample.image().shape == (36, 44, 3)


def test_missing_split_is_the_pool_and_must_be_asked_for(root):
    data = load(listed(root, [{"image_path": img(n), "label": int(n > 3)} for n in range(1, 7)]))
    assert {sample.split for sample in data.samples} == {"pool"}
    assert make_split(data).policy == "grouped"
    given = load(
        listed(root, [{"image_path": img(n), "label": int(n > 3), "split": "test" if n > 2 else "train"} for n in range(1, 7)])
    )
    assert make_split(given).policy == "folder"
    some = load(
        listed(root, [{"image_path": img(n), "label": int(n > 3), "split": "test" if n > 2 else ""} for n in range(1, 7)])
    )
    with pytest.raises(DataError) as caught:
        make_split(some)
    assert caught.value.code == "E_EMPTY_SPLIT"


def test_groups_are_kept_together(root):
    rows = [{"image_path": img(n), "label": int(n > 4), "group_id": "piece" if n in (4, 5) else ""} for n in range(1, 7)]
    split = make_split(load(listed(root, rows)))
    assert split.assignment["all/pool/good/img/4"] == "test"


def test_anomalib_tabular(root):
    rows = [
        {"image_path": img(1), "label": "normal", "label_index": 0},
        {"image_path": img(2), "label": "normal_test", "label_index": 0},
        {"image_path": img(4), "label": "abnormal", "label_index": 1},
    ]
    data = load(listed(root, rows))
    assert data.counts() == {("all", "pool", GOOD): 2, ("all", "pool", UNKNOWN): 1}
    assert data.notes == ("1 images are labelled normal_test, and there is no column split: all are in the pool",)
    only = load(listed(root, [{"image_path": img(1), "label_index": 0}, {"image_path": img(4), "label_index": 1}]))
    assert [sample.defect for sample in only.samples] == [GOOD, UNKNOWN]


def test_realnet(root):
    rows = [
        {"filename": img(1), "label": 0, "label_name": "good", "clsname": "plate"},
        {"filename": img(4), "label": 1, "label_name": "defective", "clsname": "plate", "maskname": "mask/4.png"},
    ]
    data = load(listed(root, rows, "train.json"))
    assert [(s.product, s.defect, s.mask().any()) for s in data.samples] == [("plate", "defective", True), ("plate", GOOD, False)]
    assert data.mask_rule == "binary"


def test_uniadc_labels_are_class_ids(root, trees):
    for name, value in (("dent", 1), ("crack", 2), ("combined", 1)):
        trees.save(root / f"ids/{name}.png", trees.blob(value=value))
    rows = [
        {"filename": img(1), "label": 0, "label_name": "normal"},
        {"filename": img(4), "label": 1, "label_name": "dent", "maskname": "ids/dent.png"},
        {"filename": img(5), "label": 2, "label_name": "crack", "maskname": "ids/crack.png"},
        {"filename": img(6), "label": 3, "label_name": "combined", "maskname": "ids/combined.png"},
    ]
    data = load(listed(root, rows, "train_plate.jsonl"))
    assert data.classes == {"all": ("dent", "crack", "combined")}
    assert data.combined == {"combined"}
    assert data.mask_rule == "class_id"
    regions = {s.defect: [region.defect for region in s.source.regions()] for s in data.samples}
    assert regions == {"combined": ["dent"], "crack": ["crack"], "dent": ["dent"], GOOD: []}
    rows[3]["label"], rows[2]["label"] = 2, 3
    with pytest.raises(DataError, match="combined as class 2 of 3, where it must be the last") as caught:
        load(listed(root, rows, "train_plate.jsonl"))
    assert caught.value.code == "E_LABEL"


def test_ader_meta(root):
    def row(n, **more):
        return {"img_path": img(n), "mask_path": "", "cls_name": "plate", "specie_name": "good", "anomaly": 0, **more}

    meta = {
        "train": {"plate": [row(1), row(2)], "cup": [{**row(3), "cls_name": "cup"}]},
        "test": {"plate": [row(4, anomaly=1, specie_name="dent", mask_path="mask/4.png")]},
    }
    (root / "meta.json").write_text(json.dumps(meta, indent=1))
    data = load(root / "meta.json")
    assert data.counts() == {("cup", "train", GOOD): 1, ("plate", "test", "dent"): 1, ("plate", "train", GOOD): 2}
    assert data.samples[1].mask().sum() == 36


def test_visa_csv(root, trees):
    trees.save(root / "ids.png", trees.blob(value=3))
    rows = [
        {"object": "pcb1", "split": "train", "label": "normal", "image": img(1), "mask": ""},
        {"object": "pcb1", "split": "test", "label": "anomaly", "image": img(4), "mask": "ids.png"},
    ]
    (root / "split_csv").mkdir()
    listed(root / "split_csv", rows, "1cls.csv")
    data = load(root, "manifest:file=split_csv/1cls.csv")
    assert data.counts() == {("pcb1", "test", UNKNOWN): 1, ("pcb1", "train", GOOD): 1}
    assert (data.mask_rule, data.samples[0].mask().sum()) == ("threshold:0", 36)


def test_class_ids(root, trees):
    trees.save(root / "ids.png", trees.blob(value=2))
    rows = [
        {"image_path": img(1), "class_name": "good", "class_id": 0},
        {"image_path": img(4), "class_name": "dent", "class_id": 1},
        {"image_path": img(5), "class_name": "crack", "class_id": 2, "mask_path": "ids.png", "mask_encoding": "class_id"},
    ]
    data = load(listed(root, rows, "list.jsonl"))
    assert data.classes == {"all": ("dent", "crack")}
    assert [region.defect for region in data.samples[0].source.regions()] == ["crack"]
    rows[1]["class_id"] = 3
    with pytest.raises(DataError, match="crack 2, dent 3"):
        load(listed(root, rows, "list.jsonl"))
    spelled = [{"image_path": img(5), "class_name": "crack", "mask_path": "ids.png", "mask_encoding": "class_id:a b=1;crack=2"}]
    assert load(listed(root, spelled, "list.jsonl")).samples[0].mask().sum() == 36


def test_a_mask_of_a_class_that_is_not_there(root, trees, fails):
    trees.save(root / "ids.png", trees.blob(value=7))
    rows = [
        {"image_path": img(n), "class_name": f"kind {n}", "class_id": n, "mask_path": "ids.png", "mask_encoding": "class_id"}
        for n in range(1, 6)
    ]
    rows.append({"image_path": img(6), "class_name": "good"})
    fails(listed(root, rows, "list.jsonl"), "E_MASK_VALUES", "the class 7", "list.jsonl")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"label": "nan"}], ["label 'nan'"]),
        ([{"label": "NaN"}], ["label 'NaN'"]),
        ([{"label": "maybe"}], ["label 'maybe'"]),
        ([{"label": "2"}], ["label '2'"]),
        ([{"label": "-1"}], ["label '-1'"]),
        ([{"label": "0.5"}], ["label '0.5'"]),
        ([{"label": "1.", "class_id": "1.0"}], ["label '1.'"]),
        ([{"label": ""}], ["has no label"]),
        ([{"class_name": "nan"}], ["class_name 'nan'"]),
        ([{"label": "normal", "class_name": "dent"}], ["label says normal and class_name says anomalous"]),
        ([{"label": "1", "class_name": "good"}], ["label says anomalous and class_name says normal"]),
        ([{"label": "normal", "label_index": "1"}], ["label says normal and label_index says anomalous"]),
        ([{"label": "0", "class_id": "2"}], ["label says normal and class_id says anomalous"]),
        ([{"label": "0", "class_id": "x"}], ["class_id 'x'"]),
        ([{"label": "normal_test", "split": "train"}], ["normal_test and has the split 'train'"]),
        ([{"label": "0", "split": "tran"}], ["split 'tran'"]),
        ([{"label": "0", "weight": "2"}], ["weight '2'"]),
        ([{"label": "0", "weight": "nan"}], ["weight 'nan'"]),
        ([{"label": "0", "origin": "fake"}], ["origin 'fake'"]),
        ([{"label": "0", "sha256": "12"}], ["sha256 '12'"]),
        ([{"label": "0", "category": "a/b"}], ["category 'a/b'"]),
        ([{"label": "0", "category": ".."}], ["category '..'"]),
        ([{"label": "0", "category": "x" * 201}], ["category 'xxx"]),
        ([{"label": "0", "sample_id": "../../etc"}], ["sample_id"]),
        ([{"label": "0", "sample_id": "/etc"}], ["sample_id"]),
        ([{"label": "0", "sample_id": "a//b"}], ["sample_id"]),
        ([{"label": "0", "sample_id": "a\tb"}], ["sample_id"]),
        ([{"label": "0", "mask_encoding": "magic"}], ["mask encoding 'magic'"]),
        ([{"label": "0", "mask_encoding": "class_id"}], ["names no class"]),
        ([{"label": "0", "mask_encoding": "class_id:a=0"}], ["the value '0'"]),
        ([{"label": "0"}, {"label": "maybe"}, {"label": "maybe"}], ["row 2", "(and 1 more)"]),
    ],
)
def test_labels_without_a_meaning(root, fails, rows, words):
    rows = [{"image_path": img(n), **row} for n, row in enumerate(rows, 1)]
    fails(listed(root, rows), "E_LABEL", str(root / "list.csv"), "; expected ", *words)


def test_a_nan_of_parquet_and_json(root, fails):
    pq.write_table(pa.table({"image_path": [img(1)], "label": [float("nan")]}), root / "list.parquet")
    fails(root / "list.parquet", "E_LABEL", "label 'nan'")
    (root / "list.jsonl").write_text(f'{{"image_path": "{img(1)}", "label": NaN}}\n')
    fails(root / "list.jsonl", "E_LABEL", "label 'nan'")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["is empty"]),
        (b"\xef\xbb\xbf", ["has no header"]),
        (b"\n", ["has no header"]),
        (b"image_path,label\n", ["has no row"]),
        (b"path,label\nimg/1.png,0\n", ["no column image_path", "'path', 'label'"]),
        (b"image_path,mask_path\nimg/1.png,\n", ["neither a column label nor class_name"]),
        (b"image_path;label\nimg/1.png;0\n", ["separated by commas?"]),
        (b"image_path,label,label\nimg/1.png,0,0\n", ["the column 'label' twice"]),
        (b"image_path,label\nimg/1.png,0,7\n", ["3 cells in row 1, where the header has 2"]),
        (b'image_path,label\n"img\n/1.png",0\n\nimg/2.png\nimg/3.png,0,7\n', ["1 cells in row 2, where the header has 2"]),
        (b"image_path,label\nimg/1.png,\xff\n", ["UTF"]),
        ("image_path,label\nimg/größe.png,0\n".encode("latin-1"), ["UTF"]),
        ("image_path,label\nimg/1.png,0\n".encode("utf-16"), ["no UTF-8 text"]),
        (b"image_path,label\n,0\nimg/1.png,0\n", ["row 1 has no image_path"]),
        (b'image_path,label\n"img/1.png,0\n', ["is no CSV file"]),
    ],
)
def test_no_list_at_all(root, fails, content, words):
    (root / "list.csv").write_bytes(content)
    fails(root / "list.csv", "E_LAYOUT", str(root / "list.csv"), *words)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("list.jsonl", b'{"image_path": "img/1.png", "label": 0}\n{"image_path"\n', ["line 2"]),
        ("list.jsonl", b'{"image_path": "img/1.png", "label": 0}\n[1]\n', ["line 2"]),
        (
            "list.jsonl",
            b'{"image_path": "a.png", "label": 0, "image_path": "b.png"}\n',
            ["line 1", "'image_path' is there twice"],
        ),
        ("list.json", b'[{"image_path": "a.png",\n"label": 0, "label": 1}]', ["'label' is there twice"]),
        ("list.json", b'{"a": 1,\n "b": 2}', ["is one JSON document"]),
        ("list.json", b"[1, 2]", ["place 1"]),
        ("list.json", b"[", ["is no JSON"]),
        ("list.json", b"[" * 100_000, ["is no JSON"]),
        ("meta.json", b'{"train": {"plate": 3}}', ["no list under train/plate"]),
        ("list.jsonl", b'{"image_path": "img/\\ud800.png", "label": 0}', ["no UTF-8 text"]),
        ("list.parquet", b"PAR1 and then nothing", ["is no Parquet file"]),
        ("list.parquet", b"", ["is empty"]),
    ],
)
def test_no_list_in_other_forms(root, fails, name, content, words):
    (root / name).write_bytes(content)
    fails(root / name, "E_LAYOUT", str(root / name), *words)


def test_parquet_with_a_missing_column(root, fails):
    pq.write_table(pa.table({"image_path": [img(1)], "weight": [1.0]}), root / "list.parquet")
    fails(root / "list.parquet", "E_LAYOUT", "neither a column label nor class_name")
    pq.write_table(pa.table({"label": [1]}), root / "list.parquet")
    fails(root / "list.parquet", "E_LAYOUT", "no column image_path")
    pq.write_table(pa.table({"image_path": [img(1)], "label": [1], "image": [b"\x89PNG"]}), root / "list.parquet")
    fails(root / "list.parquet", "E_LAYOUT", "a column 'image' of binary")


def test_a_parquet_that_claims_too_much_is_not_unpacked(root, fails, monkeypatch):
    from flawsmith.data.manifest import files

    listed(root, [{"image_path": img(n), "label": "0"} for n in range(1, 6)], "list.parquet")
    monkeypatch.setattr(files, "MOST_ROWS", 4)
    fails(root / "list.parquet", "E_LAYOUT", "claims 5 rows")


@pytest.mark.parametrize("path", ["../goods/img/1.png", "img/../../x.png", "/etc/passwd", "..", "img/..", "a\nb.png"])
def test_paths_that_leave_the_root(root, fails, path):
    fails(listed(root, [{"image_path": img(2), "label": "0"}, {"image_path": path, "label": "0"}]), "E_ROOT", "row 2", "leaves")


def test_paths_that_only_seem_to(root):
    spelled = ["./img/1.png", "img//2.png", "img/x/../3.png", str(root / img(4))]
    data = load(listed(root, [{"image_path": path, "label": "0"} for path in spelled]))
    assert [sample.source.path for sample in data.samples] == [img(n) for n in range(1, 5)]


def test_links_are_followed_inside_the_root_alone(root, fails, tmp_path):
    (root / "inside.png").symlink_to(root / img(1))
    assert len(load(listed(root, [{"image_path": "inside.png", "label": "0"}]))) == 1
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/x.png").write_bytes((root / img(1)).read_bytes())
    (root / "out.png").symlink_to(tmp_path / "elsewhere/x.png")
    (root / "away").symlink_to(tmp_path / "elsewhere")
    (root / "loop").symlink_to(root / "loop")
    for path in ("out.png", "away/x.png"):
        fails(listed(root, [{"image_path": path, "label": "0"}]), "E_ROOT", "is a link that leaves")
    fails(listed(root, [{"image_path": "loop/x.png", "label": "0"}]), "E_ROOT", "is not there")
    many = [{"image_path": img(n), "label": "0"} for n in range(1, 4)] + [{"image_path": "out.png", "label": "0"}]
    for number in range(40):
        (root / f"{number}.png").write_bytes(b"x")
        many.append({"image_path": f"{number}.png", "label": "0"})
    fails(listed(root, many), "E_ROOT", "row 4: out.png is a link that leaves")


def test_masks_that_leave_the_root_or_are_not_there(root, fails):
    fails(listed(root, [{"image_path": img(4), "label": "1", "mask_path": "../x.png"}]), "E_ROOT", "the mask ../x.png")
    rows = [{"image_path": img(n), "label": int(n > 3), "mask_path": f"mask/{n}.png" if n > 3 else ""} for n in range(1, 7)]
    path = listed(root, rows)
    before = {sample.id: sample.source.masks for sample in load(path).samples}
    (root / "mask/5.png").unlink()
    line = fails(path, "E_MISSING_MASK", "img/5.png has the mask mask/5.png, which is not there")
    assert "more)" not in line
    from flawsmith.data.loading import open_folder

    left = {sample.id: sample.source.masks for sample in open_folder(path).found.dataset.samples}
    assert {name: masks for name, masks in left.items() if masks != before[name]} == {"all/pool/unknown/img/5": ()}


def test_files_that_are_not_there(root, fails):
    rows = [{"image_path": img(n), "label": "0"} for n in (1, 77, 2, 78)]
    fails(listed(root, rows), "E_ROOT", "row 2: img/77.png is not there", "(and 1 more)", "--layout manifest:file=LIST")
    fails(listed(root, [{"image_path": "img", "label": "0"}]), "E_ROOT", "row 1: img is not there")


def test_one_path_twice(root, fails):
    rows = [{"image_path": path, "label": "0"} for path in (img(1), img(2), "./img/1.png", img(2))]
    fails(listed(root, rows), "E_DUPLICATE", "row 3: img/1.png is there twice", "(and 1 more)")
    rows = [{"image_path": img(n), "label": "0", "sample_id": "same"} for n in (1, 2)]
    fails(listed(root, rows), "E_DUPLICATE", "row 2: img/2.png has the sample_id of another row")


def test_two_suffixes_of_one_stem_keep_them(root, trees):
    trees.save(root / "img/1.bmp", trees.texture(99))
    data = load(listed(root, [{"image_path": path, "label": "0"} for path in ("img/1.bmp", img(1), img(2))]))
    assert [sample.id.removeprefix("all/pool/good/") for sample in data.samples] == ["img/1.bmp", "img/1.png", "img/2"]


def test_problems_of_one_kind_are_collected(root, capsys):
    rows = [{"image_path": img(n), "label": "0"} for n in (1, 2, 2, 77)] + [{"image_path": "../x.png", "label": "0"}]
    assert run(["data", "check", str(listed(root, rows)), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert {problem["code"]: problem["count"] for problem in told["errors"]} == {"E_ROOT": 2, "E_DUPLICATE": 1}
    assert told["images"] == 2


def test_names_are_the_same_however_they_are_composed(root):
    import unicodedata

    path = f"img/{unicodedata.normalize('NFD', 'größe')}.png"
    (root / path).write_bytes((root / img(1)).read_bytes())
    rows = [{"image_path": path, "class_name": unicodedata.normalize("NFD", "Kratzer ö"), "category": "ü"}]
    (sample,) = load(listed(root, rows)).samples
    assert sample.id == unicodedata.normalize("NFC", "ü/pool/Kratzer ö/img/größe")
    assert sample.image().shape == (36, 44, 3)


def test_a_folder_with_one_list(root, fails, capsys):
    listed(root, [{"image_path": img(1), "label": "0"}])
    assert len(load(root, "manifest")) == 1
    listed(root, [{"image_path": img(1), "label": "0"}], "more.jsonl")
    assert run(["data", "check", str(root), "--layout", "manifest"]) == 1
    assert "holds 2 lists (list.csv, more.jsonl)" in capsys.readouterr().err
    with pytest.raises(BadParameter, match="is a list already"):
        load(root / "list.csv", "manifest:file=more.jsonl")
    with pytest.raises(DataError, match="cannot be read") as caught:
        load(root, "manifest:file=none.csv")
    assert caught.value.code == "E_ROOT"
    fails(root / "none.csv", "E_ROOT", "does not exist")
    with pytest.raises(DataError, match="is a file"):
        load(root / img(1))


def test_a_data_set_behaves_like_any_other(root):
    rows = [
        {
            "image_path": img(n),
            "category": "ab"[n % 2],
            "class_name": "dent" if n > 3 else "good",
            "split": "test" if n > 2 else "train",
        }
        for n in range(1, 7)
    ]
    data = load(listed(root, rows))
    assert (data.products, data.defects(), data.defects("a")) == (("a", "b"), ("dent",), ("dent",))
    assert [s.source.path for s in data.of(product="a").samples] == [img(4), img(6), img(2)]
    assert [s.source.path for s in data.of(product="b", split="test").samples] == [img(5), img(3)]
    assert (len(data.of(split="val")), data.of(split="val").counts()) == (0, {})
    samples = data.samples
    assert (len(samples[1:3]), samples[1:3][0].id, samples[::2][1].id) == (2, samples[1].id, samples[2].id)
    assert samples[-1] == samples[len(samples) - 1]
    assert samples == tuple(samples)
    assert samples != tuple(samples)[:-1]
    assert hash(samples) == hash(load(root / "list.csv").samples)
    with pytest.raises(IndexError):
        samples[6]
    with get_context("spawn").Pool(1) as workers:
        assert workers.apply(tuple, (samples,)) == tuple(samples)


def test_a_synthetic_image_is_never_tested(root, fails):
    rows = [
        {
            "image_path": img(n),
            "label": int(n > 3),
            "split": "test" if n > 3 else "train",
            "origin": "synthetic" if n == 6 else "",
        }
        for n in range(1, 7)
    ]
    fails(listed(root, rows), "E_SYNTHETIC", "img/6.png is synthetic and in the test split")
    digest = load(root / "list.csv").samples[1].digest()
    rows = [{"image_path": img(n), "label": int(n > 4), "split": "test" if n > 3 else "train"} for n in range(1, 6)]
    tested = next(s for s in load(listed(root, rows)).samples if s.source.path == img(5)).digest()
    rows.append(
        {"image_path": img(6), "label": "0", "split": "val", "origin": "synthetic", "reference_sha256": f"{digest};{tested}"}
    )
    fails(listed(root, rows), "E_SYNTHETIC", "img/6.png was made from a picture of the test split")
