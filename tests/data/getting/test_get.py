"""`flawsmith data get` against a server on the loopback interface: what comes, what is refused, and what is gone on with."""

import dataclasses
import json
import random

import pytest

from flawsmith.cli.app import run
from flawsmith.core.errors import BadParameter, DownloadError, OutputError, UnknownName, UnsafeArchive
from flawsmith.data.getting import download as downloading
from flawsmith.data.getting.catalogue import CATALOGUE, Checksum, Limits, entry
from flawsmith.data.getting.get import archive_of
from flawsmith.data.getting.get import get as fetch

NAMES = {"mvtec", "loco", "mvtec3d", "mvtec-fs", "visa", "btad", "mpdd", "mtd", "wfdd", "elpv", "dtd"}


@pytest.fixture
def stocked(site, make_tar):
    """The server has a set of two pictures, 200 KB that do not shrink."""
    noise = random.Random(0).randbytes(100_000)
    site.content = make_tar([("set/good/1.png", noise), ("set/good/2.png", noise[::-1])])
    return site


@pytest.fixture
def waits():
    return []


@pytest.fixture
def got(stocked, tmp_path, waits):
    def call(name="mtd", attempts=2, sha256=None, out=tmp_path / "set"):
        archive = archive_of(entry(name), stocked.url, sha256 or stocked.sha256)
        return fetch(entry(name), archive, out, attempts=attempts, pause=waits.append)

    return call


def left(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


def part(tmp_path):
    return tmp_path / ".set.download" / "archive"


def test_the_right_file_becomes_the_folder(got, tmp_path, stocked):
    assert got() == 2
    assert left(tmp_path) == ["set"]
    assert sorted(path.name for path in (tmp_path / "set/good").iterdir()) == ["1.png", "2.png"]
    assert stocked.asked == [None]


def test_another_file_is_refused_and_removed(got, tmp_path):
    with pytest.raises(DownloadError, match=r"is another file: its SHA-256 [0-9a-f]{64}; expected SHA-256 0{64}: .* --url"):
        got(sha256="0" * 64)
    assert not (tmp_path / "set").exists()
    assert not part(tmp_path).exists()


def test_a_sign_in_page_is_called_one(got, stocked):
    right, stocked.content = stocked.sha256, b"<!DOCTYPE html><p>sign in</p>"
    with pytest.raises(DownloadError, match="is a web page; expected SHA-256"):
        got(sha256=right)


def test_a_cut_connection_is_taken_up_in_the_same_call(got, tmp_path, stocked, waits):
    stocked.cuts = [70_000]
    assert got() == 2
    assert stocked.asked == [None, "bytes=70000-"]
    assert stocked.requests[1]["If-Range"] == '"one"'
    assert waits == [1.0]


def test_a_cut_file_is_not_unpacked_and_a_later_call_goes_on(got, tmp_path, stocked):
    stocked.cuts = [70_000, 50_000]
    with pytest.raises(DownloadError, match=rf"sending \(120000 of {len(stocked.content)} bytes came\); expected the whole"):
        got()
    assert left(tmp_path) == [".set.download"]
    assert part(tmp_path).stat().st_size == 120_000
    assert got() == 2
    assert stocked.asked == [None, "bytes=70000-", "bytes=120000-"]
    assert left(tmp_path) == ["set"]


def test_the_date_serves_where_there_is_no_strong_etag(got, stocked):
    stocked.etag, stocked.modified, stocked.cuts = 'W/"weak"', "Mon, 06 Jul 2026 08:00:00 GMT", [70_000]
    assert got() == 2
    assert stocked.requests[1]["If-Range"] == "Mon, 06 Jul 2026 08:00:00 GMT"
    assert stocked.asked == [None, "bytes=70000-"]


def test_without_etag_and_date_it_starts_over(got, stocked):
    stocked.etag, stocked.cuts = None, [70_000]
    assert got() == 2
    assert stocked.asked == [None, None]


def test_a_server_without_range_starts_over(got, stocked):
    stocked.ranges, stocked.cuts = False, [70_000]
    assert got() == 2
    assert stocked.asked == [None, "bytes=70000-"]


def test_a_changed_file_starts_over(got, tmp_path, stocked, make_tar):
    stocked.cuts = [70_000]
    with pytest.raises(DownloadError):
        got(attempts=1)
    stocked.content, stocked.etag = make_tar([("set/other.png", random.Random(1).randbytes(90_000))]), '"two"'
    assert got() == 1
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["other.png"]


def test_a_file_that_shrank_is_fetched_anew(got, stocked, make_tar):
    """An ETag that did not change although the file did: the server answers 416."""
    stocked.cuts = [150_000]
    with pytest.raises(DownloadError):
        got(attempts=1)
    stocked.content = make_tar([("set/other.png", b"small")])
    assert got() == 1


def test_another_part_than_was_asked_for_is_not_joined(got, stocked):
    stocked.cuts, stocked.lies = [70_000], True
    assert got(attempts=3) == 2
    assert stocked.asked == [None, "bytes=70000-", None]


def test_a_part_of_another_address_is_not_joined(got, tmp_path, stocked):
    stocked.cuts = [70_000]
    with pytest.raises(DownloadError):
        got(attempts=1)
    stocked.url = stocked.url.replace("set.tar.gz", "mirror.tar.gz")
    assert got() == 2
    assert stocked.asked == [None, None]


def test_a_whole_file_is_not_fetched_twice(got, tmp_path, stocked, monkeypatch):
    """The disk was full when it was unpacked: the archive is still there."""
    from flawsmith.data.getting import get as module

    def full(*arguments):
        raise OutputError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(module, "unpack", full)
        with pytest.raises(OutputError):
            got()
    assert part(tmp_path).is_file()
    assert got() == 2
    assert stocked.asked == [None]


def test_a_server_that_tells_no_length_is_checked_by_the_hash(got, stocked, tmp_path):
    stocked.sized, stocked.cuts = False, [70_000]
    with pytest.raises(DownloadError, match="is another file"):
        got()
    assert left(tmp_path) == []
    assert got() == 2


def test_redirects_are_followed(got, stocked):
    stocked.moved = {"/set.tar.gz": "/elsewhere.tar.gz"}
    assert got() == 2


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/set"])
def test_redirects_to_files_are_not(got, tmp_path, stocked, target):
    stocked.moved = {"/set.tar.gz": target}
    with pytest.raises(DownloadError):
        got()
    assert left(tmp_path) == []


@pytest.mark.parametrize("target", ["/set.tar.gz", "http://[::1/a", "file:///\x1b[2Jx"])
def test_a_redirect_to_nowhere_is_one_line(command, stocked, capsys, target):
    """In a circle, to what is no address, with a control sequence of a terminal."""
    stocked.moved = {"/set.tar.gz": target}
    assert command("--yes") == 1
    line = refused(capsys, "E_DOWNLOAD")
    assert line.isprintable()


@pytest.mark.parametrize(
    "answer", [b"\x00\x1b[2Jgarbage\r\n\r\n", b"HTTP/1.1 500 a\x1b[2Jb\r\n\r\n", b"HTTP/1.1 500 " + b"x" * 9000]
)
def test_a_broken_answer_is_one_short_line(command, stocked, capsys, answer):
    stocked.raw = answer
    assert command("--yes") == 1
    line = refused(capsys, "E_DOWNLOAD")
    assert line.isprintable()
    assert len(line) < 500


@pytest.mark.parametrize("status", [403, 404, 500, 503])
def test_an_answer_of_the_server_is_told(got, stocked, tmp_path, status):
    stocked.status = status
    with pytest.raises(DownloadError, match=rf"set.tar.gz answers {status} .*; expected the archive: the address"):
        got()
    assert left(tmp_path) == []


@pytest.mark.parametrize("resumable", [True, False])
def test_only_a_part_that_can_be_gone_on_with_is_kept(got, stocked, tmp_path, resumable):
    stocked.cuts, stocked.etag = [70_000], '"one"' if resumable else None
    with pytest.raises(DownloadError, match="run the same command again") as told:
        got(attempts=1)
    assert ("goes on where it stopped" in str(told.value)) == resumable
    assert left(tmp_path) == ([".set.download"] if resumable else [])
    stocked.cuts = [0]
    with pytest.raises(DownloadError):
        got(attempts=1, out=tmp_path / "other")
    assert ".other.download" not in left(tmp_path)


def test_a_mirror_that_fails_takes_no_part_of_another_address_away(got, stocked, tmp_path):
    stocked.cuts, right = [70_000], stocked.url
    with pytest.raises(DownloadError):
        got(attempts=1)
    stocked.url, stocked.status = right.replace("set.tar.gz", "mirror.tar.gz"), 404
    with pytest.raises(DownloadError, match="404"):
        got()
    stocked.url, stocked.status = right, None
    assert got() == 2
    assert stocked.asked == [None, None, "bytes=70000-"]


def test_more_than_the_set_can_be_is_not_fetched(got, stocked, tmp_path, monkeypatch):
    small = dataclasses.replace(entry("mtd"), limits=Limits(100, 100_000))
    archive = archive_of(small, stocked.url, stocked.sha256)
    with pytest.raises(DownloadError, match=r"offers 0\.0 GB; expected at most 0\.0 GB"):
        fetch(small, archive, tmp_path / "set")
    stocked.sized = False
    with pytest.raises(DownloadError, match="is larger than"):
        fetch(small, archive, tmp_path / "set")
    assert left(tmp_path) == []


def test_a_full_disk_is_told_before_the_download(got, tmp_path, monkeypatch):
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda path: type("", (), {"free": 1000})())
    with pytest.raises(DownloadError, match=r"0\.0 GB free, .* still to come; expected room"):
        got()


EVIL = {
    "parent": [("../evil.png", b"1")],
    "absolute": [("/evil.png", b"1")],
    "twice": [("1.png", b"1"), ("1.png", b"2")],
}


@pytest.mark.parametrize("kind", EVIL)
def test_an_unsafe_archive_leaves_nothing(kind, got, tmp_path, stocked, make_tar):
    stocked.content = make_tar([("set/1.png", b"1"), *EVIL[kind]])
    with pytest.raises(UnsafeArchive):
        got()
    assert left(tmp_path) == []


def test_a_bomb_leaves_nothing(got, tmp_path, stocked, make_tar):
    stocked.content = make_tar([("set/1.png", bytes(80 << 20))])
    assert len(stocked.content) < 100_000
    with pytest.raises(UnsafeArchive, match="unpacks to more than"):
        got()
    assert left(tmp_path) == []


def test_an_existing_target_is_refused_before_the_network(got, tmp_path, stocked):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/mine.png").write_bytes(b"mine")
    with pytest.raises(OutputError, match="is not empty"):
        got()
    assert stocked.requests == []
    assert (tmp_path / "set/mine.png").read_bytes() == b"mine"


def test_an_empty_folder_is_no_target_in_the_way(got, tmp_path):
    (tmp_path / "set").mkdir()
    assert got() == 2
    assert left(tmp_path) == ["set"]


def test_md5_counts_where_nobody_published_more(stocked, tmp_path, monkeypatch):
    import hashlib

    dtd = entry("dtd")
    assert dtd.archive.checksum.kind == "md5"
    right = Checksum("md5", hashlib.md5(stocked.content).hexdigest())
    mine = dataclasses.replace(dtd, archive=dataclasses.replace(dtd.archive, checksum=right))
    assert fetch(mine, archive_of(mine, stocked.url), tmp_path / "set") == 2
    with pytest.raises(DownloadError, match=f"expected {dtd.archive.checksum}"):
        fetch(dtd, archive_of(dtd, stocked.url), tmp_path / "other")


def test_a_mirror_needs_a_hash_from_somewhere():
    with pytest.raises(BadParameter, match="nobody published a hash of mtd"):
        archive_of(entry("mtd"), "http://127.0.0.1/a.zip")
    with pytest.raises(BadParameter, match="64 hexadecimal digits"):
        archive_of(entry("mtd"), "http://127.0.0.1/a.zip", "abc")
    with pytest.raises(BadParameter, match="--sha256 without --url"):
        archive_of(entry("mtd"), None, "0" * 64)
    broken = ("http://[::1/a", "http://host:99999/a", "http://host:x/a", "http://a b/c", "http://host/a\r\nX: y", "http://höst/a")
    for url in ("ftp://host/a.zip", "file:///a.zip", "a.zip", "http:///a.zip", "", *broken):
        with pytest.raises(BadParameter, match="http:// or https://") as caught:
            archive_of(entry("mtd"), url, "0" * 64)
        assert "\n" not in str(caught.value)
    for url in ("http://host/a@b", "http://host:80/a?token=a@b", "https://[::1]:8080/a%20b"):
        assert archive_of(entry("mtd"), url, "0" * 64).url == url
    assert archive_of(entry("mvtec"), "http://127.0.0.1/a").checksum == entry("mvtec").archive.checksum
    assert archive_of(entry("mvtec"), None, "A" * 64).checksum == Checksum("sha256", "a" * 64)


@pytest.mark.parametrize(
    "url", ["http://me:secret@host/a.zip", "ftp://secret@host", "http://me:secret@[::1/a", "me:secret@host/a"]
)
def test_a_password_in_an_address_is_refused_and_not_shown(url, capsys, tmp_path):
    assert run(["data", "get", "mtd", "--url", url, "--sha256", "0" * 64, "--out", str(tmp_path / "set"), "--yes"]) == 2
    told = capsys.readouterr()
    assert "with a user's name or password" in told.err
    assert "secret" not in told.out + told.err
    assert list(tmp_path.iterdir()) == []


def test_every_data_set_of_the_spec_is_listed():
    assert set(CATALOGUE) == NAMES
    assert {name for name, one in CATALOGUE.items() if one.archive} == {"mvtec", "loco", "mvtec3d", "visa", "btad", "dtd"}
    for one in CATALOGUE.values():
        assert one.licence
        assert one.citation
        assert one.home.startswith("https://")
        assert one.commands
        if one.archive:
            assert len(one.archive.checksum.value) == {"sha256": 64, "md5": 32}[one.archive.checksum.kind]
            assert one.archive.url.startswith("https://")
            assert any(one.archive.url in command for command in one.commands)


# the command


def test_without_a_name_the_sets_are_listed(capsys):
    assert run(["data", "get"]) == 0
    told = capsys.readouterr().out
    assert {line.split()[0] for line in told.splitlines()[1:12]} == NAMES
    assert run(["data", "get", "--json"]) == 0
    assert {one["name"] for one in json.loads(capsys.readouterr().out)["data_sets"]} == NAMES


def test_a_name_alone_downloads_nothing_and_says_how(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["data", "get", "mvtec"]) == 0
    told = capsys.readouterr().out
    for word in (
        "CC BY-NC-SA 4.0: not for commercial use",
        "Bergmann",
        "https://www.mvtec.com/company/research/datasets/mvtec-ad",
        "SHA-256 cf4313b13603bec67abb49ca959488f7eedce2a9f7795ec54446c649ac98cd3d, from open-edge-platform/anomalib",
        "sha256sum -c",
    ):
        assert word in told
    assert told.splitlines()[-1] == "next     flawsmith data get mvtec --out mvtec --yes"
    assert list(tmp_path.iterdir()) == []


def test_md5_is_told_to_be_weak(capsys):
    assert run(["data", "get", "dtd"]) == 0
    assert "MD5 fff73e5086ae6bdbea199a49dfb8a4c1, from pytorch/vision" in (told := capsys.readouterr().out)
    assert "nobody published a SHA-256, and MD5 tells damage, not malice" in told


@pytest.mark.parametrize("name", ["mpdd", "mtd", "wfdd", "mvtec-fs"])
def test_a_set_without_a_plain_download_is_told(name, capsys, tmp_path):
    assert run(["data", "get", name]) == 0
    told = capsys.readouterr().out
    assert all(command in told for command in entry(name).commands)
    assert run(["data", "get", name, "--out", str(tmp_path / "set"), "--yes"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"flawsmith: E_DOWNLOAD: {name} has no plain download" in err


def test_elpv_is_a_package(capsys, monkeypatch):
    from flawsmith.cli import data_get

    for installed, following in ((True, "flawsmith data check elpv"), (False, "pip install elpv-dataset")):
        monkeypatch.setattr(data_get, "_installed", lambda installed=installed: installed)
        assert run(["data", "get", "elpv"]) == 0
        told = capsys.readouterr().out
        assert "get      pip install elpv-dataset" in told
        assert ("the package is installed" in told) == installed
        assert told.splitlines()[-1] == f"next     {following}"


@pytest.fixture
def command(stocked, tmp_path):
    def call(*more, name="mtd", out="set"):
        return run(["data", "get", name, "--url", stocked.url, "--sha256", stocked.sha256, "--out", str(tmp_path / out), *more])

    return call


def test_the_licence_is_shown_before_the_download(command, stocked, capsys, tmp_path):
    assert command() == 2
    told = capsys.readouterr()
    assert "licence  none stated" in told.out
    assert told.err.startswith("flawsmith: E_PARAMETER: mtd is offered under a licence (none stated")
    assert told.err.count("\n") == 1
    assert stocked.requests == []


def test_with_yes_the_set_is_there_and_the_next_command_named(command, capsys, tmp_path):
    assert command("--yes") == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines.index("licence  none stated; its page: welcome to use, cite the paper") < len(lines) - 2
    assert lines[-1] == f"next     flawsmith data check {tmp_path / 'set'}"
    assert "2 files, SHA-256" in lines[-2]
    assert told.err == ""


def test_dtd_leads_to_textures(stocked, capsys, tmp_path):
    out = tmp_path / "dtd"
    assert run(["data", "get", "dtd", "--url", stocked.url, "--sha256", stocked.sha256, "--out", str(out), "--yes"]) == 0
    assert f"--set draem.textures={out}" in capsys.readouterr().out.splitlines()[-1]


def test_json_is_one_document(command, capsys, tmp_path):
    assert command("--yes", "--json") == 0
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert document["files"] == 2
    assert document["licence"].startswith("none stated")
    assert document["next"] == f"flawsmith data check {tmp_path / 'set'}"
    assert "licence  none stated" in told.err


def refused(capsys, code):
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 1
    assert err[0].startswith(f"flawsmith: {code}: ")
    assert "; expected " in err[0]
    return err[0]


def test_no_network_is_one_line(closed_port, capsys, tmp_path):
    arguments = ["--url", closed_port, "--sha256", "0" * 64, "--out", str(tmp_path / "set"), "--yes"]
    assert run(["data", "get", "mtd", *arguments]) == 1
    assert "cannot reach 127.0.0.1" in refused(capsys, "E_DOWNLOAD")
    assert left(tmp_path) == []


def test_a_name_that_cannot_be_resolved_is_one_line(capsys, tmp_path, monkeypatch):
    import socket

    def unknown(*arguments, **options):
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert run(["data", "get", "dtd", "--out", str(tmp_path / "set"), "--yes"]) == 1
    line = refused(capsys, "E_DOWNLOAD")
    assert "cannot reach www.robots.ox.ac.uk (Temporary failure in name resolution)" in line


def test_what_is_wrong_is_one_line(command, stocked, capsys, tmp_path, make_tar):
    stocked.content = make_tar([("../evil.png", b"1")])
    assert command("--yes") == 1
    refused(capsys, "E_ARCHIVE")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/1.png").touch()
    assert command("--yes", out="taken") == 1
    refused(capsys, "E_OUTPUT")
    assert run(["data", "get", "mvtek"]) == 2
    assert "did you mean mvtec" in capsys.readouterr().err
    with pytest.raises(UnknownName):
        entry("mvtek")


def test_an_interruption_says_that_the_command_goes_on(command, stocked, capsys, monkeypatch):
    from flawsmith.data.getting import get as module

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "download", interrupted)
    assert command("--yes") == 1
    assert "interrupted; run the same command again to go on where it stopped" in capsys.readouterr().err


@pytest.fixture(scope="session")
def miniatures():
    import importlib.util
    from pathlib import Path

    spec = importlib.util.spec_from_file_location("flawsmith_test_miniatures", Path(__file__).parents[1] / "miniatures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["mvtec", "loco", "mvtec3d", "visa", "btad"])
def test_what_was_unpacked_is_what_the_layout_reads(name, site, tmp_path, miniatures, make_tar, make_zip):
    from flawsmith.data import load

    made = tmp_path / "made"
    tree = miniatures.KNOWN[name](made)
    tree.write()
    members = [(path.relative_to(made).as_posix(), path.read_bytes()) for path in sorted(made.rglob("*")) if path.is_file()]
    site.content = (make_zip if name == "btad" else make_tar)(members)
    out = tmp_path / name
    assert run(["data", "get", name, "--url", site.url, "--sha256", site.sha256, "--out", str(out), "--yes"]) == 0
    data = load(out)
    assert data.layout == name
    assert data.counts() == dict(tree.counts)
    assert data.licence.startswith(entry(name).licence.partition(":")[0])
