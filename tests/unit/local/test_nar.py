import os
import socket
from pathlib import Path

import pytest

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
        with pytest.raises(ValueError, match="neither"):
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
