"""`flawsmith data get`: where a published data set is at home, and the download where there is a plain one."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flawsmith.cli.options import AsJson, Debug
from flawsmith.cli.output import show

if TYPE_CHECKING:
    from flawsmith.data.getting.catalogue import Archive, Entry

Name = Annotated[str | None, typer.Argument(metavar="NAME", help="A data set; without it, list them.", show_default=False)]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="New folder for it. Default: NAME, here.", show_default=False)
]
Yes = Annotated[bool, typer.Option("--yes", help="Download without asking: you have read the licence.")]
Url = Annotated[str | None, typer.Option("--url", help="Another address of the same archive, a mirror.", show_default=False)]
Sha256 = Annotated[str | None, typer.Option("--sha256", help="What the archive must hash to instead.", show_default=False)]


def get(
    name: Name = None,
    out: Out = None,
    yes: Yes = False,
    url: Url = None,
    sha256: Sha256 = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say where a data set is at home, under which licence and how to get it; download it where there is a plain download.

    Nothing is downloaded before the licence was shown and you agreed (a question, or --yes). The same command goes on with an
    interrupted download. DIR gets its name once everything is there, checked and unpacked.

    Example: flawsmith data get mvtec --out data/mvtec --yes
    """
    from flawsmith.data.getting.catalogue import CATALOGUE, entry
    from flawsmith.data.getting.get import archive_of

    if name is None:
        show(_table(), {"data_sets": [_document(one, one.archive) for one in CATALOGUE.values()]}, as_json)
        return
    chosen = entry(name)
    archive = archive_of(chosen, url, sha256)
    document = {**_document(chosen, archive), "out": None, "files": None, "next": _next(chosen, archive, out)}
    typer.echo("\n".join(_lines(chosen, archive)), err=as_json)
    if archive is None:
        _told_only(chosen, document, out, as_json)
    elif _agreed(chosen, out, yes):
        _fetch(chosen, archive, out or Path(chosen.name), document, as_json)
    else:
        show(f"next     {document['next']}", document, as_json)


def _told_only(chosen: Entry, document: dict[str, Any], out: Path | None, as_json: bool) -> None:
    from flawsmith.core.errors import DownloadError

    if out is not None:
        raise DownloadError(
            f"{chosen.name} has no plain download with a published hash; expected no --out: get it with the command above, or "
            f"give an archive of yours with --url and --sha256"
        )
    show(f"next     {document['next']}", document, as_json)


def _agreed(chosen: Entry, out: Path | None, yes: bool) -> bool:
    from flawsmith.core.errors import BadParameter

    if yes:
        return True
    if sys.stdin.isatty() and sys.stderr.isatty():
        return typer.confirm(f"Download {chosen.name} under this licence into {out or chosen.name}?", err=True)
    if out is not None:
        raise BadParameter(
            f"{chosen.name} is offered under a licence ({chosen.licence}); expected your consent: add --yes to download it"
        )
    return False


def _fetch(chosen: Entry, archive: Archive, out: Path, document: dict[str, Any], as_json: bool) -> None:
    from flawsmith.data.getting.get import get as fetch

    files = fetch(chosen, archive, out)
    lines = f"{out}: {files} files, {archive.checksum} found as expected\nnext     {_look(chosen, out)}"
    show(lines, {**document, "out": str(out), "files": files, "next": _look(chosen, out)}, as_json)


def _look(chosen: Entry, out: Path) -> str:
    shown = shlex.quote(str(out))
    if chosen.name == "dtd":
        folder = shown if out.is_absolute() else f"./{shown}"
        return f"flawsmith synth DIR --synth draem --set draem.textures={folder} -n 100 --out runs/synthetic"
    return f"flawsmith data check {shown}"


def _next(chosen: Entry, archive: Archive | None, out: Path | None) -> str:
    if archive is not None:
        return f"flawsmith data get {chosen.name} --out {shlex.quote(str(out or chosen.name))} --yes"
    if chosen.name == "elpv" and not _installed():
        return chosen.commands[0]
    return f"flawsmith data check {chosen.name if chosen.name == 'elpv' else 'DIR'}"


def _installed() -> bool:
    from importlib.util import find_spec

    return find_spec("elpv_dataset") is not None


def _lines(chosen: Entry, archive: Archive | None) -> list[str]:
    label = "by hand" if archive is not None else "get"
    lines = [
        f"{chosen.name}: {chosen.title}",
        f"home     {chosen.home}",
        f"licence  {chosen.licence}",
        f"cite     {chosen.citation}",
        *(f"{label if number == 0 else '':<8} {command}" for number, command in enumerate(chosen.commands)),
        *(f"note     {note}" for note in chosen.notes),
    ]
    if archive is not None:
        lines.append(f"source   {archive.url}")
        lines.append(f"hash     {archive.checksum}, from {archive.source}{_weak(archive)}")
    if chosen.name == "elpv" and _installed():
        lines.append("here     the package is installed")
    return lines


def _weak(archive: Archive) -> str:
    return "; nobody published a SHA-256, and MD5 tells damage, not malice" if archive.checksum.kind == "md5" else ""


def _table() -> str:
    from flawsmith.data.getting.catalogue import CATALOGUE

    rows = [("name", "how", "licence", "what")]
    for one in CATALOGUE.values():
        how = "download" if one.archive else "pip" if one.name == "elpv" else "by hand"
        rows.append((one.name, how, one.licence.partition(":")[0].partition(";")[0], one.title))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join([*(text.ljust(w) for text, w in zip(row, widths, strict=False)), row[3]]) for row in rows]
    return "\n".join([*lines, "", "next     flawsmith data get NAME"])


def _document(one: Entry, archive: Archive | None) -> dict[str, Any]:
    download = None
    if archive is not None:
        download = {"url": archive.url, archive.checksum.kind: archive.checksum.value, "source": archive.source}
    return {
        "name": one.name,
        "title": one.title,
        "home": one.home,
        "licence": one.licence,
        "citation": one.citation,
        "commands": list(one.commands),
        "notes": list(one.notes),
        "download": download,
    }
