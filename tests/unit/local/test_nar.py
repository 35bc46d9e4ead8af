import os
import resource
import socket
import tempfile
from pathlib import Path
from typing import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nix_remote.local import nar
from nix_remote.wire.codec import encode_bytes


def strings(*items: bytes) -> bytes:
    return b"".join(map(encode_bytes, items))


def whole(path: Path) -> bytes:
    return b"".join(nar.nar_chunks(str(path)))


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"hello")
    file.chmod(0o644)
    assert whole(file) == strings(
        b"nix-archive-1", b"(", b"type", b"regular", b"contents", b"hello", b")"
    )


def test_only_the_owners_execute_bit_counts(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    file.chmod(0o655)
    assert b"executable" not in whole(file)
    file.chmod(0o744)
    assert whole(file) == strings(
        *(b"nix-archive-1", b"(", b"type", b"regular"),
        *(b"executable", b"", b"contents", b"", b")"),
    )


def test_entries_are_in_byte_order_and_names_need_not_be_text(tmp_path: Path) -> None:
    for name in (b"b", b"a\xff", b"a", b"B"):
        Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name))).symlink_to("t")
    names = [b"B", b"a", b"a\xff", b"b"]
    link = strings(b"(", b"type", b"symlink", b"target", b"t", b")")
    entries = b"".join(
        strings(b"entry", b"(", b"name", n, b"node") + link + strings(b")") for n in names
    )
    assert whole(tmp_path) == strings(
        b"nix-archive-1", b"(", b"type", b"directory"
    ) + entries + strings(b")")


def test_a_big_file_comes_in_pieces_of_bounded_size(tmp_path: Path) -> None:
    file = tmp_path / "big"
    file.write_bytes(os.urandom(3 * nar.CHUNK + 5))
    chunks = list(nar.nar_chunks(str(file)))
    assert len(chunks) >= 3
    assert max(map(len, chunks)) < 2 * nar.CHUNK
    assert file.read_bytes() in b"".join(chunks)


def test_many_small_files_come_in_few_pieces(tmp_path: Path) -> None:
    for number in range(500):
        (tmp_path / f"f{number}").write_bytes(b"x")
    assert len(list(nar.nar_chunks(str(tmp_path)))) < 5


def test_what_a_nar_cannot_hold_is_an_error(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(ValueError, match="not a file"):
            whole(tmp_path)


def test_a_file_that_grows_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(2 * nar.CHUNK))
    chunks = nar.nar_chunks(str(file))
    next(chunks)
    with file.open("ab") as more:
        more.write(b"x")
    with pytest.raises(ValueError, match="longer"):
        list(chunks)


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(2 * nar.CHUNK))
    chunks = nar.nar_chunks(str(file))
    next(chunks)
    os.truncate(file, nar.CHUNK)
    with pytest.raises(ValueError, match="shorter"):
        list(chunks)


def nested(folder: Path, levels: int) -> None:
    """`d/d/…/d/leaf`, so many folders below one; made without a full path, which is too long."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("leaf", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here))
    os.close(here)


def remove_nested(folder: Path, levels: int) -> None:
    """Removes it from the inside: `shutil.rmtree` gives up."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.unlink("leaf", dir_fd=here)
    for _ in range(levels):
        above = os.open("..", os.O_RDONLY, dir_fd=here)
        os.rmdir("d", dir_fd=above)
        os.close(here)
        here = above
    os.close(here)


@pytest.fixture
def memory_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: removing a deep tree from a disk takes long."""
    if not os.path.isdir("/dev/shm"):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def test_a_tree_of_ten_thousand_levels_takes_one_descriptor_at_a_time(memory_folder: Path) -> None:
    levels = 10_000
    nested(memory_folder, levels)
    try:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        soft = len(os.listdir("/proc/self/fd")) + 20
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        try:
            content = whole(memory_folder)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    finally:
        remove_nested(memory_folder, levels)
    folder = strings(b"(", b"type", b"directory", b"entry", b"(", b"name", b"d", b"node")
    leaf = strings(b"(", b"type", b"directory", b"entry", b"(", b"name", b"leaf", b"node")
    file = strings(b"(", b"type", b"regular", b"contents", b"", b")")
    ends = strings(b")", b")") * (levels + 1)
    assert content == strings(b"nix-archive-1") + folder * levels + leaf + file + ends


def test_a_folder_of_a_hundred_thousand_files_comes_in_pieces_of_bounded_size(
    memory_folder: Path,
) -> None:
    count = 100_000
    here = os.open(memory_folder, os.O_RDONLY)
    for number in range(count):
        os.symlink("t", f"{number:06}", dir_fd=here)
    os.close(here)
    sizes = [len(chunk) for chunk in nar.nar_chunks(str(memory_folder))]
    assert max(sizes) < 2 * nar.CHUNK
    assert sum(sizes) == 64 + 32 + count * 192


def test_links_are_never_followed_not_even_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "up").symlink_to("..")
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    content = whole(tmp_path)
    for target in (b"self", b"..", b"other", b"one"):
        assert strings(b"type", b"symlink", b"target", target) in content


def test_the_longest_names_that_a_file_system_takes(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(10):
        deep = deep / ("n" * 255)
        deep.mkdir()
    (deep / ("l" * 255)).write_bytes(b"x")
    assert whole(tmp_path).count(encode_bytes(b"n" * 255)) == 10


def test_an_error_names_the_file_in_full(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes(bytes(2 * nar.CHUNK))
    chunks = nar.nar_chunks(str(tmp_path))
    next(chunks)
    (folder / "b").unlink()
    with pytest.raises(OSError, match="folder/b"):
        list(chunks)


names = st.binary(min_size=1, max_size=20).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")
)
trees = st.recursive(
    st.tuples(st.binary(max_size=20), st.booleans()) | names,
    lambda children: st.dictionaries(names, children, max_size=4),
    max_leaves=12,
)


def plant(path: bytes, tree: object) -> None:
    """Makes a tree of files (content, executable), links (a target) and folders (a mapping)."""
    if isinstance(tree, dict):
        os.mkdir(path)
        for name, below in tree.items():
            plant(os.path.join(path, name), below)
    elif isinstance(tree, tuple):
        content, executable = tree
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o755 if executable else 0o644)
    else:
        assert isinstance(tree, bytes)
        os.symlink(tree, path)


def expected(tree: object) -> bytes:
    """The node of such a tree, by the grammar."""
    if isinstance(tree, dict):
        entries = (
            strings(b"entry", b"(", b"name", name, b"node") + expected(tree[name]) + strings(b")")
            for name in sorted(tree)
        )
        return strings(b"(", b"type", b"directory") + b"".join(entries) + strings(b")")
    if isinstance(tree, tuple):
        content, executable = tree
        mark = strings(b"executable", b"") if executable else b""
        return (
            strings(b"(", b"type", b"regular")
            + mark
            + strings(b"contents", content)
            + strings(b")")
        )
    assert isinstance(tree, bytes)
    return strings(b"(", b"type", b"symlink", b"target", tree, b")")


@given(trees)
def test_any_tree_is_written_as_the_grammar_says(tree: object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        top = os.path.join(os.fsencode(folder), b"top")
        plant(top, tree)
        assert whole(Path(os.fsdecode(top))) == strings(b"nix-archive-1") + expected(tree)
