from typing import Any

import numpy as np
import pytest
import torch

from animegan.core.errors import UsageError
from animegan.core.images import to_float
from animegan.data.batches import Batches
from animegan.data.face_set import FaceSet


def face_set(count: int = 23, size: int = 8, channels: int = 3) -> FaceSet:
    images = np.random.default_rng(0).integers(0, 256, (count, size, size, channels), np.uint8)
    images.setflags(write=False)  # as the cache gives them; torch warns where one shares that
    return FaceSet(
        images=images,
        labels=np.arange(count) % 3,
        classes=("a", "b", "c"),
        files=tuple(f"{index}.png" for index in range(count)),
        broken=(),
    )


def epoch_of(batches: Batches, epoch: int) -> list[int]:
    steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
    return [int(row) for step in steps for row in batches.rows(step)]


def test_an_epoch_shows_each_picture_once_and_drops_the_rest() -> None:
    batches = Batches(face_set(23), 5, seed=1)
    assert batches.steps_per_epoch == 4
    for epoch in range(3):
        rows = epoch_of(batches, epoch)
        assert len(rows) == len(set(rows)) == 20
        assert set(rows) <= set(range(23))
        assert rows != sorted(rows)


def test_each_epoch_drops_others() -> None:
    batches = Batches(face_set(23), 5, seed=1)
    assert set(range(23)) == {row for epoch in range(20) for row in epoch_of(batches, epoch)}
    assert epoch_of(batches, 0) != epoch_of(batches, 1)


def test_the_whole_set_as_one_batch() -> None:
    batches = Batches(face_set(7), 7, seed=0)
    assert batches.steps_per_epoch == 1
    assert sorted(batches.rows(3)) == list(range(7))


def test_order_depends_on_seed_and_step_alone() -> None:
    forward = Batches(face_set(), 4, seed=7, flip=True)
    seen = [forward.images(step) for step in range(12)]
    for step in (11, 0, 5, 6, 4):  # a fresh one, out of order: a resumed run
        assert torch.equal(Batches(face_set(), 4, seed=7, flip=True).images(step), seen[step])
        assert torch.equal(forward.images(step), seen[step])
    assert not np.array_equal(forward.rows(0), Batches(face_set(), 4, seed=8).rows(0))


def test_drawing_leaves_the_global_randomness_alone() -> None:
    before = torch.get_rng_state()
    Batches(face_set(), 4, seed=7, flip=True).images(0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_images_are_the_rows_as_floats(channels: int, batch_size: int) -> None:
    faces = face_set(channels=channels)
    batches = Batches(faces, batch_size, seed=0)
    images = batches.images(2)
    expected = faces.images[batches.rows(2)].astype(np.float32) / 127.5 - 1
    assert images.dtype == torch.float32
    assert images.shape == (batch_size, channels, 8, 8)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert np.allclose(images.permute(0, 2, 3, 1).numpy(), expected, atol=1e-6)
    assert images.min() >= -1
    assert images.max() <= 1


def test_black_and_white_reach_both_ends() -> None:
    ends = np.stack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)])
    faces = FaceSet(ends, np.zeros(2, np.int64), ("a",), ("0", "1"), ())
    images = Batches(faces, 2, seed=0).images(0)
    assert sorted({float(value) for value in images.unique()}) == [-1.0, 1.0]


def test_the_set_itself_is_never_written() -> None:
    faces = face_set()
    before = faces.images.copy()
    Batches(faces, 4, seed=0).images(0).zero_()
    Batches(faces, 4, seed=0, resident=True).images(0).zero_()
    assert np.array_equal(faces.images, before)


# --- flips


@pytest.mark.parametrize("resident", [False, True])
def test_flips_mirror_half_of_the_pictures(resident: bool) -> None:
    faces = face_set(64)
    batches = Batches(faces, 64, seed=0, flip=True, resident=resident)
    plain = Batches(faces, 64, seed=0)
    mirrored = 0
    for step in range(10):
        for flipped, image in zip(batches.images(step), plain.images(step), strict=True):
            if torch.equal(flipped, image):
                continue
            assert torch.equal(flipped, image.flip(2))  # left and right, never up and down
            mirrored += 1
    assert 260 < mirrored < 380
    assert batches.images(0).is_contiguous(memory_format=torch.channels_last)


def test_flips_are_drawn_anew_for_each_step() -> None:
    faces = face_set(16)
    batches = Batches(faces, 16, seed=0, flip=True)
    plain = Batches(faces, 16, seed=0)

    def flipped(step: int) -> list[bool]:
        same = (batches.images(step) == plain.images(step)).flatten(1).all(1)
        return [not value for value in same.tolist()]

    assert flipped(0) != flipped(1)


# --- several processes


@pytest.mark.parametrize("world_size", [2, 4])
@pytest.mark.parametrize("resident", [False, True])
def test_processes_share_the_one_batch(world_size: int, resident: bool) -> None:
    whole = Batches(face_set(), 8, seed=3, flip=True)
    parts = [
        Batches(
            face_set(), 8, seed=3, flip=True, rank=rank, world_size=world_size, resident=resident
        )
        for rank in range(world_size)
    ]
    for step in range(5):
        assert torch.equal(torch.cat([part.images(step) for part in parts]), whole.images(step))
        assert np.array_equal(np.concatenate([part.rows(step) for part in parts]), whole.rows(step))
    assert {part.steps_per_epoch for part in parts} == {whole.steps_per_epoch}


# --- devices


def test_resident_gives_the_same() -> None:
    there, here = (Batches(face_set(), 4, seed=0, resident=resident) for resident in (True, False))
    assert torch.equal(there.images(3), here.images(3))


def test_resident_is_moved_whole_in_pieces() -> None:
    faces = face_set(10)
    batches = Batches(faces, 4, seed=0)
    assert np.array_equal(batches._whole(rows=3).numpy(), faces.images)


@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize("flip", [False, True])
def test_on_another_device_nothing_is_left_behind(resident: bool, flip: bool) -> None:
    meta = torch.device("meta")
    batches = Batches(face_set(), 4, seed=0, flip=flip, device=meta, resident=resident)
    images = batches.images(1)
    assert images.device == meta
    assert images.shape == (4, 3, 8, 8)
    assert images.is_contiguous(memory_format=torch.channels_last)


# --- wrong sizes


def problem(**how: Any) -> str:
    given: dict[str, Any] = {"faces": face_set(10), "seed": 0}
    with pytest.raises(UsageError) as caught:
        Batches(**(given | how))
    (line,) = caught.value.problems
    return line


def test_fewer_pictures_than_a_batch() -> None:
    assert problem(batch_size=11) == (
        "--batch-size 11: there are only 10 pictures; use 10 or fewer"
    )
    assert problem(batch_size=12, world_size=4).endswith("use 8 or fewer")
    assert Batches(face_set(10), 8, 0, world_size=4).steps_per_epoch == 1
    assert problem(batch_size=16, world_size=16) == (
        "--data-path: 16 processes need at least 16 pictures (found 10); add more"
    )
    assert problem(batch_size=64, faces=face_set(1)) == (
        "--data-path: training needs at least 2 pictures (found 1); add more"
    )


def test_a_batch_that_does_not_divide() -> None:
    assert "not divisible by 4 processes; use 8" in problem(batch_size=10, world_size=4)
    assert "use 4" in problem(batch_size=3, world_size=4)


def test_floats_are_those_of_the_only_conversion() -> None:
    faces = face_set()
    batches = Batches(faces, 4, seed=0)
    pixels = torch.from_numpy(faces.images[batches.rows(0)]).permute(0, 3, 1, 2)
    assert torch.equal(batches.images(0), to_float(pixels))
