"""Options that several commands share, so that they read and behave alike."""

from pathlib import Path
from typing import Annotated

import typer

DataFolder = Annotated[
    Path,
    typer.Argument(
        metavar="DIR",
        help="Folder with your images, a list of them (.csv, .parquet, .jsonl), or elpv.",
        show_default=False,
        readable=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
RootSeed = Annotated[int, typer.Option("--seed", help="Root of every random draw.")]
LayoutName = Annotated[
    str,
    typer.Option(
        "--layout",
        metavar="NAME[:OPTION=VALUE,…]",
        help="How the folder is read: auto; folder (your own); anomalib (folders named one by one); manifest (a list); as "
        "published: mvtec, mvtec-fs, mvtec-folders, loco, mvtec3d, visa, btad, mpdd, wfdd, wfdd-uniadc, mtd, elpv. Options "
        "follow, as in visa:protocol=2cls_fewshot.",
    ),
]
ScaleRule = Annotated[
    str | None,
    typer.Option(
        "--scale",
        metavar="RULE",
        help="For images of more than 8 bits: divide:65535 (the value that is white) or minmax-dataset.",
        show_default=False,
    ),
]
ProductName = Annotated[str | None, typer.Option("--product", help="One product of the folder.", show_default=False)]
Debug = Annotated[bool, typer.Option("--debug", help="On an error, show the traceback as well.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is at --out.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="METHOD.PARAM=VALUE", help="Set a method's parameter; repeatable.", show_default=False),
]
SPLITS = (
    "auto, folder, supervised, grouped, stratified, random, first-half, mtd-group, mtd-902-50, mtd-list:names=FILE, elpv-blocks; "
    "with options as in grouped:test_share=0.3; or the file of a split (docs/data.md)"
)
DEFECT_SHOTS = (
    "a number, drawn by the seed; first:K in file order; first-third, as generators take it, with first-third:K for the first K "
    "of it, or first-third:ceil, :inclusive, :all; aside, all that the split keeps for it, as supervised does"
)
ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="An inspector's folder.", show_default=False)]

ForegroundRule = Annotated[
    str | None,
    typer.Option(
        "--foreground",
        metavar="RULE",
        help="Keep the defects of every method on the object: auto, another rule, or a folder of masks as in ./masks; none: "
        "anywhere. Default: each method's own.",
        show_default=False,
    ),
]
