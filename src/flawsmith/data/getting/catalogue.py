"""The published data sets by name: home, licence, citation, commands, and the archive where there is a plain download.

Addresses and checksums are those of public source code, named in `Archive.source`; homes, licences and counts are those of the
data sets' own pages (`datasets.md`, sections 1 to 12). Nobody ships these data sets with this project.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from flawsmith.core.errors import UnknownName

GIB = 1 << 30
NON_COMMERCIAL = "CC BY-NC-SA 4.0: not for commercial use, share alike"
ANOMALIB = "open-edge-platform/anomalib, src/anomalib/data"


@dataclass(frozen=True)
class Checksum:
    """What a file must hash to.

    Args:
        kind: the hash. MD5 stands only where nobody published more: it tells damage, not malice.
        value: in hexadecimal, lower case.
    """

    kind: Literal["sha256", "md5"]
    value: str

    def __str__(self) -> str:
        return f"{'SHA-256' if self.kind == 'sha256' else 'MD5'} {self.value}"


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to; a picture set that is larger is none of ours.

    Args:
        files: files and folders.
        size: bytes of all files together.
    """

    files: int
    size: int


@dataclass(frozen=True)
class Archive:
    """A plain download.

    Args:
        url: its address.
        checksum: what it must hash to.
        source: the public code that names both.
    """

    url: str
    checksum: Checksum
    source: str

    @property
    def file(self) -> str:
        """The file's own name."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Entry:
    """One data set.

    Args:
        name: what `flawsmith data get` and `--layout` call it.
        title: its own name, and how much it is.
        home: its page.
        licence, citation: as stated there.
        commands: how to get it by hand.
        limits: what it may unpack to, about four times what it holds.
        archive: the plain download; None where there is none.
        notes: what else to know.
    """

    name: str
    title: str
    home: str
    licence: str
    citation: str
    commands: tuple[str, ...]
    limits: Limits
    archive: Archive | None = None
    notes: tuple[str, ...] = ()


def entry(name: str) -> Entry:
    """The data set of this name.

    Raises:
        UnknownName: there is none; the nearest are offered.
    """
    if name not in CATALOGUE:
        raise UnknownName("data set", name, CATALOGUE, "`flawsmith data get` lists them")
    return CATALOGUE[name]


def _by_hand(archive: Archive, folder: str) -> tuple[str, ...]:
    unpack = f"unzip -q {archive.file} -d {folder}" if archive.file.endswith(".zip") else f"tar -xf {archive.file} -C {folder}"
    check = "sha256sum" if archive.checksum.kind == "sha256" else "md5sum"
    return (
        f"curl -L -C - -o {archive.file} {archive.url}",
        f"echo '{archive.checksum.value}  {archive.file}' | {check} -c",
        f"mkdir {folder} && {unpack}",
    )


_MVTEC = Archive(
    "https://www.mydrive.ch/shares/38536/3830184030e49fe74747669442f0f283/download/420938113-1629960298/"
    "mvtec_anomaly_detection.tar.xz",
    Checksum("sha256", "cf4313b13603bec67abb49ca959488f7eedce2a9f7795ec54446c649ac98cd3d"),
    f"{ANOMALIB}/datamodules/image/mvtecad.py",
)
_LOCO = Archive(
    "https://www.mydrive.ch/shares/48237/1b9106ccdfbb09a0c414bd49fe44a14a/download/430647091-1646842701/"
    "mvtec_loco_anomaly_detection.tar.xz",
    Checksum("sha256", "9e7c84dba550fd2e59d8e9e231c929c45ba737b6b6a6d3814100f54d63aae687"),
    f"{ANOMALIB}/datasets/image/mvtec_loco.py",
)
_MVTEC_3D = Archive(
    "https://www.mydrive.ch/shares/45920/dd1eb345346df066c63b5c95676b961b/download/428824485-1643285832/"
    "mvtec_3d_anomaly_detection.tar.xz",
    Checksum("md5", "d8bb2800fbf3ac88e798da6ae10dc819"),
    f"{ANOMALIB}/datamodules/depth/mvtec_3d.py",
)
_VISA = Archive(
    "https://amazon-visual-anomaly.s3.us-west-2.amazonaws.com/VisA_20220922.tar",
    Checksum("sha256", "2eb8690c803ab37de0324772964100169ec8ba1fa3f7e94291c9ca673f40f362"),
    f"{ANOMALIB}/datamodules/image/visa.py",
)
_BTAD = Archive(
    "https://avires.dimi.uniud.it/papers/btad/btad.zip",
    Checksum("sha256", "461c9387e515bfed41ecaae07c50cf6b10def647b36c9e31d239ab2736b10d2a"),
    f"{ANOMALIB}/datamodules/image/btech.py",
)
_DTD = Archive(
    "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
    Checksum("md5", "fff73e5086ae6bdbea199a49dfb8a4c1"),
    "pytorch/vision, torchvision/datasets/dtd.py",
)

_ENTRIES = (
    Entry(
        "mvtec",
        "MVTec AD: 15 products, 5354 images",
        "https://www.mvtec.com/company/research/datasets/mvtec-ad",
        NON_COMMERCIAL,
        "Bergmann et al., MVTec AD: A Comprehensive Real-World Dataset for Unsupervised Anomaly Detection, CVPR 2019, "
        "doi 10.1109/CVPR.2019.00982; and IJCV 129(4), 2021, doi 10.1007/s11263-020-01400-4",
        _by_hand(_MVTEC, "mvtec"),
        Limits(30_000, 20 * GIB),
        _MVTEC,
    ),
    Entry(
        "loco",
        "MVTec LOCO AD: 5 products, 3644 images, logical and structural defects",
        "https://www.mvtec.com/company/research/datasets/mvtec-loco",
        NON_COMMERCIAL,
        "Bergmann, Batzner et al., Beyond Dents and Scratches: Logical Constraints in Unsupervised Anomaly Detection and "
        "Localization, IJCV 130, 2022",
        _by_hand(_LOCO, "loco"),
        Limits(40_000, 24 * GIB),
        _LOCO,
    ),
    Entry(
        "mvtec3d",
        "MVTec 3D-AD: 10 products, 4147 scans, of which the RGB images are read",
        "https://www.mvtec.com/company/research/datasets/mvtec-3d-ad",
        NON_COMMERCIAL,
        "Bergmann et al., The MVTec 3D-AD Dataset for Unsupervised 3D Anomaly Detection and Localization, VISAPP 2022, "
        "doi 10.5220/0010865000003124",
        _by_hand(_MVTEC_3D, "mvtec3d"),
        Limits(60_000, 96 * GIB),
        _MVTEC_3D,
    ),
    Entry(
        "mvtec-fs",
        "MVTec-FS: MVTec AD's defects labelled one by one, for classification",
        "https://github.com/ShuaiLYU/MVTec-FS",
        f"{NON_COMMERCIAL}, as MVTec AD",
        "Lyu et al., MVREC: A General Few-shot Defect Classification Model Using Multi-View Region-Context, AAAI 2025",
        (
            "hf download XimiaoZhang/MVTec-FS --repo-type dataset --local-dir mvtec-fs",
            "git clone https://github.com/ShuaiLYU/MVTec-FS mvtec-fs && cd mvtec-fs && cat image.tar.* | tar -x",
        ),
        Limits(60_000, 20 * GIB),
        notes=(
            "two distributions: the first command gets UniADC's repack (class-id masks, JSON lines; what its published numbers "
            "need), the second the original (polygons)",
            "no plain download with a published checksum",
        ),
    ),
    Entry(
        "visa",
        "VisA: 12 products, 10821 images",
        "https://github.com/amazon-science/spot-diff",
        "CC BY 4.0",
        "Zou et al., SPot-the-Difference Self-Supervised Pre-training for Anomaly Detection and Segmentation, ECCV 2022",
        _by_hand(_VISA, "visa"),
        Limits(60_000, 16 * GIB),
        _VISA,
    ),
    Entry(
        "btad",
        "BTAD: 3 products, 2540 images",
        "https://avires.dimi.uniud.it/papers/btad/btad.zip",
        NON_COMMERCIAL,
        "Mishra et al., VT-ADL: A Vision Transformer Network for Image Anomaly Detection and Localization, ISIE 2021",
        _by_hand(_BTAD, "btad"),
        Limits(15_000, 20 * GIB),
        _BTAD,
    ),
    Entry(
        "mpdd",
        "MPDD: 6 metal parts, 1346 images",
        "https://github.com/stepanje/MPDD",
        NON_COMMERCIAL,
        "Jezek et al., Deep learning-based defect detection of metal parts: evaluating current methods in complex conditions, "
        "ICUMT 2021, doi 10.1109/ICUMT54235.2021.9631567",
        (
            "open https://vutbr-my.sharepoint.com/:f:/g/personal/xjezek16_vutbr_cz/"
            "EhHS_ufVigxDo3MC6Lweau0BVMuoCmhMZj6ddamiQ7-FnA?e=oHKCxI in a browser and download the folder",
        ),
        Limits(8_000, 20 * GIB),
        notes=("by hand: the link is a shared OneDrive folder, given on the home page",),
    ),
    Entry(
        "mtd",
        "MTD: magnetic tiles, 1344 images",
        "https://github.com/abin24/Magnetic-tile-defect-datasets.",
        "none stated; its page: welcome to use, cite the paper",
        "Huang et al., Surface defect saliency of magnetic tile, The Visual Computer 36, 2020",
        ("git clone --depth 1 https://github.com/abin24/Magnetic-tile-defect-datasets. mtd",),
        Limits(15_000, 2 * GIB),
        notes=("the repository's name ends with a dot", "no plain download with a published checksum"),
    ),
    Entry(
        "wfdd",
        "WFDD: 4 woven fabrics, 4101 images",
        "https://github.com/cqylunlun/GLASS",
        "MIT (its repository)",
        "Chen et al., A Unified Anomaly Synthesis Strategy with Gradient Ascent for Industrial Anomaly Detection and "
        "Localization, ECCV 2024",
        (
            "open https://drive.google.com/file/d/1P8yfNnfoFsb0Lv-HRzkPQ2nD9qsL--Vk/view in a browser and download the file",
            "hf download XimiaoZhang/WFDD --repo-type dataset --local-dir wfdd-uniadc",
        ),
        Limits(20_000, 20 * GIB),
        notes=("the second command gets UniADC's repack with relabelled defects", "no plain download with a published checksum"),
    ),
    Entry(
        "elpv",
        "ELPV: solar cells, 2624 images",
        "https://github.com/zae-bayern/elpv-dataset",
        f"images {NON_COMMERCIAL}; code Apache-2.0",
        "Buerhop-Lutz et al., A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence Imagery, "
        "EU PVSEC 2018; Deitsch et al., Solar Energy 185, 2019",
        ("pip install elpv-dataset",),
        Limits(12_000, 2 * GIB),
        notes=("a Python package of 91 MB; `elpv` stands for its folder in every command",),
    ),
    Entry(
        "dtd",
        "DTD: 47 textures × 120 images, a source of textures and no data set of defects",
        "https://www.robots.ox.ac.uk/~vgg/data/dtd/",
        "research purposes only",
        "Cimpoi et al., Describing Textures in the Wild, CVPR 2014",
        _by_hand(_DTD, "dtd"),
        Limits(30_000, 4 * GIB),
        _DTD,
    ),
)

CATALOGUE: Mapping[str, Entry] = MappingProxyType({one.name: one for one in _ENTRIES})
"""Name → data set."""
