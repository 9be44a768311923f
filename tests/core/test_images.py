import os

import pytest
import torch
from PIL import Image
from torchvision.utils import make_grid

from animegan.core import images


def noise(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator())


def test_every_grey_level_comes_back():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    there = images.to_float(levels)
    assert there.dtype == torch.float32
    assert (there.min().item(), there.max().item()) == (-1, 1)
    assert torch.equal(images.to_uint8(there), levels)


def test_floats_are_rounded_to_the_nearest_level_and_clamped():
    values = torch.tensor([-5.0, -1, 0.3 / 127.5 - 1, 0.7 / 127.5 - 1, 1, 5])
    assert images.to_uint8(values).tolist() == [0, 0, 0, 1, 255, 255]


def test_conversions_leave_their_input_alone():
    pixels, floats = noise(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.25, requires_grad=True)
    kept = pixels.clone()
    images.to_float(pixels)
    assert not images.to_uint8(floats).requires_grad
    assert torch.equal(pixels, kept)
    assert (floats == 0.25).all()


def test_half_precision_is_converted_too():
    assert images.to_uint8(torch.tensor([-1.0, 0, 1], dtype=torch.bfloat16)).tolist() == [
        0,
        128,
        255,
    ]


def test_memory_format_is_kept():
    pixels = noise(2, 3, 8, 8).to(memory_format=torch.channels_last)
    assert images.to_float(pixels).is_contiguous(memory_format=torch.channels_last)


def test_a_grid_is_filled_row_by_row_with_black_lines():
    pixels = torch.stack([torch.full((3, 4, 4), 10 * k, dtype=torch.uint8) for k in range(1, 11)])
    sheet = images.grid(pixels, columns=8)
    assert sheet.shape == (3, 2 * (4 + 2) + 2, 8 * (4 + 2) + 2)
    assert sheet[:, :2].sum() == 0
    assert sheet[:, :, 6:8].sum() == 0
    assert sheet[0, 2, 2] == 10
    assert sheet[0, 2, 2 + 7 * 6] == 80
    assert sheet[0, 2 + 6, 2] == 90
    assert sheet[0, 2 + 6, 2 + 2 * 6] == 0  # the row is not full


@pytest.mark.parametrize("count", [1, 9])
def test_a_grid_of_grey_pictures_has_three_channels(count):
    assert images.grid(noise(count, 1, 4, 4)).shape[0] == 3


def test_grey_stays_grey_in_a_picture_of_its_own(tmp_path):
    pixels = noise(1, 5, 7)
    images.save_picture(pixels, tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as picture:
        assert (picture.mode, picture.size) == ("L", (7, 5))
        assert torch.tensor(list(picture.tobytes())).tolist() == pixels.flatten().tolist()


def test_colours_keep_their_places(tmp_path):
    pixels = noise(3, 5, 7)
    images.save_picture(pixels, tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.mode == "RGB"
        assert picture.getpixel((6, 4)) == tuple(pixels[:, 4, 6].tolist())


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.webp", "A.PNG"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_suffix_chooses_the_format(tmp_path, name, channels):
    images.save_picture(noise(channels, 8, 8), tmp_path / name)
    with Image.open(tmp_path / name) as picture:
        assert picture.size == (8, 8)


def test_a_picture_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "one.png"
    images.save_picture(noise(3, 4, 4), path)
    before = path.read_bytes()

    def cut(self, out, **how):
        out.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(Image.Image, "save", cut)
    with pytest.raises(OSError, match="No space"):
        images.save_picture(noise(3, 9, 9), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["one.png"]


def test_a_folder_that_went_away_is_not_made_anew(tmp_path):
    with pytest.raises(FileNotFoundError):
        images.save_picture(noise(3, 5, 7), tmp_path / "gone" / "one.png")
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 20])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_grid_is_that_of_torchvision(count, channels):
    pixels = torch.randint(1, 256, (count, channels, 5, 4), dtype=torch.uint8)
    assert torch.equal(images.grid(pixels, 8), make_grid(pixels, nrow=8, padding=2))
