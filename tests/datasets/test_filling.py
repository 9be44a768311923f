"""What is there already counts only if it is the same."""

from pathlib import Path

from animegan.datasets.filling import Filling
from tests.support.piles import art


def test_the_same_bytes_are_not_written_again(tmp_path: Path) -> None:
    Filling(tmp_path).write("a/1.png", b"content")
    again = Filling(tmp_path)
    again.write("a/1.png", b"content")
    assert (again.count, again.new, again.beside) == (1, 0, [])


def test_other_content_stays_and_the_new_one_goes_beside_it(tmp_path: Path) -> None:
    Filling(tmp_path).write("1.png", b"half of")
    for new in (1, 0):  # and is found there by the next call
        filling = Filling(tmp_path)
        path = filling.write("1.png", b"half of it")
        assert (filling.count, filling.new, filling.beside) == (1, new, ["1.png"])
        assert path.read_bytes() == b"half of it"
    assert (tmp_path / "1.png").read_bytes() == b"half of"
    assert len(list(tmp_path.iterdir())) == 2


def test_pictures_are_compared_by_their_pixels(tmp_path: Path) -> None:
    art(1, 32).save(tmp_path / "1.png", compress_level=0)
    filling = Filling(tmp_path)
    filling.write("1.png", art(1, 32))
    assert (filling.count, filling.new) == (1, 0)
    filling.write("1.png", art(2, 32))
    assert (filling.count, filling.new) == (2, 1)
