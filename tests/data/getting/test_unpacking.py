"""Archives of other people: what is taken, and what is not."""

import stat
import tarfile
import zipfile

import pytest

from flawsmith.core.errors import UnsafeArchive
from flawsmith.data.getting import unpacking
from flawsmith.data.getting.catalogue import Limits
from flawsmith.data.getting.unpacking import unpack

LIMITS = Limits(100, 1 << 20)
GOOD = [("set/good/1.png", b"one"), ("set/good/2.png", b"two"), ("set/readme.txt", b"")]


@pytest.fixture
def tried(tmp_path):
    """Unpack bytes into a new folder; what lies beside it must stay as it was."""

    def call(data, limits=LIMITS):
        archive = tmp_path / "archive"
        archive.write_bytes(data)
        folder = tmp_path / "work" / "unpacked"
        return unpack(archive, folder, limits), folder

    return call


def files(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_unpacked_and_its_only_folder_lifted(mode, tried, make_tar):
    count, folder = tried(make_tar(GOOD, mode))
    assert count == 3
    assert files(folder) == {"good/1.png": b"one", "good/2.png": b"two", "readme.txt": b""}


def test_a_zip_is_unpacked(tried, make_zip):
    count, folder = tried(make_zip([("a/1.png", b"one"), ("b/", b""), ("b/2.png", b"two")]))
    assert count == 2
    assert files(folder) == {"a/1.png": b"one", "b/2.png": b"two"}


def test_what_is_not_below_one_folder_stays_where_it_is(tried, make_tar):
    assert set(files(tried(make_tar([("a/1.png", b"1"), ("2.png", b"2")]))[1])) == {"a/1.png", "2.png"}


def test_modes_are_not_taken_over(tried, make_tar):
    info = tarfile.TarInfo("run.sh")
    info.mode = 0o6777
    mode = (tried(make_tar([info]))[1] / "run.sh").stat().st_mode
    assert not mode & (stat.S_ISUID | stat.S_ISGID | stat.S_IXUSR | stat.S_IWOTH)


OUTSIDE = ["../evil.png", "a/../../evil.png", "/tmp/evil.png", "..\\evil.png", "C:/evil.png", "a/..", "//host/evil.png"]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_paths_that_lead_out_are_refused(name, kind, tried, tmp_path, make_tar, make_zip):
    made = make_tar if kind == "tar" else make_zip
    with pytest.raises(UnsafeArchive, match=r"leads out of its folder; expected .*: nothing was kept"):
        tried(made([("good.png", b"1"), (name, b"evil")]))
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "../../outside"),
        (tarfile.SYMTYPE, "good/1.png"),
        (tarfile.LNKTYPE, "/etc/passwd"),
        (tarfile.LNKTYPE, "set/good/1.png"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_links_and_devices_are_refused(kind, target, tried, make_tar):
    info = tarfile.TarInfo("set/link")
    info.type, info.linkname = kind, target
    with pytest.raises(UnsafeArchive, match="'set/link', which is a link, a device or a sparse file"):
        tried(make_tar([*GOOD, info]))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_refused(kind, tried, tmp_path):
    path = tmp_path / "made.zip"
    with zipfile.ZipFile(path, "w") as packed:
        info = zipfile.ZipInfo("link")
        info.external_attr = (kind | 0o777) << 16
        packed.writestr(info, "/etc/passwd")
    with pytest.raises(UnsafeArchive, match="'link', which is a link or a device"):
        tried(path.read_bytes())


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_more_bytes_than_allowed_are_refused(kind, tried, make_tar, make_zip):
    made = make_tar if kind == "tar" else make_zip
    members = [("1.png", bytes(600_000)), ("2.png", bytes(600_000))]
    with pytest.raises(UnsafeArchive, match=r"unpacks to more than 0\.00 GB"):
        tried(made(members))


def test_a_bomb_is_refused_by_what_it_is_made_of(tried, make_zip, monkeypatch):
    """200 KB of zeros in 300 bytes: within the limits of the set, but no picture shrinks a thousandfold."""
    monkeypatch.setattr(unpacking, "ALWAYS", 1000)
    data = make_zip([("1.png", bytes(200_000))])
    assert len(data) * unpacking.MOST_RATIO < 200_000
    with pytest.raises(UnsafeArchive, match="unpacks to more than"):
        tried(data)


def test_nothing_is_written_beyond_the_limit(tried, tmp_path, make_tar):
    with pytest.raises(UnsafeArchive):
        tried(make_tar([("1.png", bytes(600_000)), ("2.png", bytes(600_000))]))
    assert sum(path.stat().st_size for path in (tmp_path / "work").rglob("*") if path.is_file()) <= LIMITS.size


def test_a_zip_that_lies_about_its_sizes_is_refused(tried, make_zip):
    """The central directory says 10 bytes, the stream holds 100,000."""
    data = bytearray(make_zip([("1.png", bytes(100_000))]))
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    with pytest.raises(UnsafeArchive):
        tried(bytes(data))


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_too_many_members_are_refused(kind, tried, make_tar, make_zip):
    made = make_tar if kind == "tar" else make_zip
    with pytest.raises(UnsafeArchive, match="holds more than 100 files"):
        tried(made([(f"{number}.png", b"") for number in range(101)]))


def test_endless_folders_are_members_too(tried, make_zip):
    with pytest.raises(UnsafeArchive, match="holds more than 100 files"):
        tried(make_zip([(f"{number}/", b"") for number in range(101)]))


def test_a_header_that_would_fill_the_memory_is_refused(tried, make_tar):
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, unpacking.LONGEST_HEADER + 1
    with pytest.raises(UnsafeArchive, match=f"a header of {info.size} bytes"):
        tried(make_tar([info, ("1.png", b"1")], "w"))


def test_a_sparse_file_is_refused(tried, make_tar):
    info = tarfile.TarInfo("hole.png")
    info.size = 1
    info.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "1000"}
    with pytest.raises(UnsafeArchive, match=r"'hole\.png', which is a link, a device or a sparse file"):
        tried(make_tar([info]))


@pytest.mark.parametrize("names", [("1.png", "1.png"), ("a/1.png", "a//1.png"), ("a", "a/1.png"), ("a/1.png", "a")])
@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(names, kind, tried, make_tar, make_zip):
    made = make_tar if kind == "tar" else make_zip
    with pytest.raises(UnsafeArchive, match=r"twice|both as a file and as a folder"):
        tried(made([(name, b"1") for name in names]))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_cut_archive_is_refused(mode, tried, make_tar):
    import random

    data = make_tar([("1.png", random.Random(0).randbytes(50_000))], mode)
    with pytest.raises(UnsafeArchive, match="get it again"):
        tried(data[: len(data) // 2])


def test_a_tar_is_whole_with_its_last_block_and_not_before(tried, make_tar, tmp_path):
    """Two members of a header and a block each, then zeros; tarfile itself takes a cut or damaged header for the end."""
    import shutil

    data = make_tar([("1.png", b"one"), ("2.png", b"two")], "w")
    members = 4 * 512
    for cut in (1, 511, 513, 1023, 1024, 1025, 1300, 1535, 1536, 1540, members - 1, members, members + 100):
        with pytest.raises(UnsafeArchive, match="get it again"):
            tried(data[:cut])
        shutil.rmtree(tmp_path / "work")
    damaged = bytearray(data)
    damaged[1024] ^= 0xFF
    with pytest.raises(UnsafeArchive, match="get it again"):
        tried(bytes(damaged))
    shutil.rmtree(tmp_path / "work")
    assert tried(data[: members + 512])[0] == 2


@pytest.mark.parametrize("folders", [[], ["a"]])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_archive_without_a_file_is_refused(folders, kind, tried, make_tar, make_zip):
    infos = [tarfile.TarInfo(name) for name in folders]
    for info in infos:
        info.type = tarfile.DIRTYPE
    with pytest.raises(UnsafeArchive, match="holds no file; expected those of a picture set: get it again"):
        tried(make_tar(infos) if kind == "tar" else make_zip([(f"{name}/", b"") for name in folders]))


def test_a_zip_that_holds_less_than_it_declares_is_refused(tried, make_zip):
    """The central directory says 200,000 bytes, the stream ends after 100,000 with the right checksum."""
    data = bytearray(make_zip([("1.png", bytes(100_000))]))
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = (200_000).to_bytes(4, "little")
    with pytest.raises(UnsafeArchive, match=r"ends within '1\.png'; expected a whole archive"):
        tried(bytes(data))


def test_a_damaged_zip_is_refused(tried, make_zip):
    data = bytearray(make_zip([("1.png", bytes(range(256)) * 100)]))
    data[60] ^= 0xFF
    with pytest.raises(UnsafeArchive, match="get it again"):
        tried(bytes(data))


@pytest.mark.parametrize("data", [b"", b"<html>sign in</html>", b"PK\x03\x04", b"\x1f\x8b" + bytes(50)])
def test_what_is_no_archive_is_refused(data, tried):
    with pytest.raises(UnsafeArchive):
        tried(data)


def test_an_encrypted_zip_is_refused(tried, make_zip):
    data = bytearray(make_zip([("1.png", b"secret")]))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    with pytest.raises(UnsafeArchive, match="encrypted"):
        tried(bytes(data))
