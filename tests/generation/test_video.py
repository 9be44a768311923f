import pytest
import torch
from PIL import Image

from animegan import models
from animegan.config.resolve import resolve
from animegan.core.errors import UsageError
from animegan.generation.candidates import Noise
from animegan.generation.request import film_of
from animegan.generation.video import film, loop, spherical
from animegan.models import Spec
from animegan.runs import checkpoint

SMALL = Spec(image_size=16, nz=5, ngf=2, ndf=2)
LABELLED = Spec(image_size=16, nz=5, ngf=2, ndf=2, classes=(3,))
LABELS = {"names": ["hair"], "values": [["a", "b", "c"]], "rows": [[0], [1]], "counts": [1, 1]}


@pytest.fixture
def netg(tmp_path):
    torch.manual_seed(0)
    net = models.build_netg(SMALL)
    checkpoint.save_net(tmp_path / "netg.pth", "netg", net.state_dict(), SMALL, {})
    return tmp_path / "netg.pth"


def run(netg, out, **words):
    given = {"netg_path": netg, "out": out, "gpu": "false", "seconds": 1, "fps": 6, **words}
    config = resolve("video", {name: str(value) for name, value in given.items()})[0]
    film(config, film_of(config))


def flags_of(netg, out, **words):
    with pytest.raises(UsageError) as caught:
        run(netg, out, **words)
    return caught.value.flags


def shown(path):
    with Image.open(path) as picture:
        frames = []
        for k in range(picture.n_frames):
            picture.seek(k)
            frames.append(picture.convert("RGB").copy())
        return frames


# --- the walk


def test_halfway_on_a_quarter_of_the_sphere():
    one, other = torch.tensor([2.0, 0, 0]), torch.tensor([0, 4.0, 0])
    middle = spherical(one, other, torch.tensor([0.5]))
    torch.testing.assert_close(middle, 3 * torch.tensor([0.5**0.5, 0.5**0.5, 0]))
    torch.testing.assert_close(spherical(one, other, torch.tensor([0.0])), one)
    torch.testing.assert_close(spherical(one, other, torch.tensor([1.0])), other)


@pytest.mark.parametrize("factor", [1, 3, -1])
def test_equal_and_opposite_vectors_give_numbers(factor):
    one = torch.tensor([1.0, 2, 3], dtype=torch.float64)
    for share in (0.0, 0.3, 1.0):
        between = spherical(one, factor * one, torch.tensor([share], dtype=one.dtype))
        assert between.isfinite().all()


def test_a_walk_passes_its_keys_in_equal_steps_and_closes():
    keys = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    walk = loop(keys, 40)
    torch.testing.assert_close(walk[::10], keys)
    steps = torch.cosine_similarity(walk.double(), walk.double().roll(-1, 0)).acos().view(4, 10)
    # along each way, that back to the first key included, all steps have one angle
    torch.testing.assert_close(steps, steps[:, :1].expand(4, 10), atol=1e-4, rtol=1e-3)


def test_more_keys_than_pictures():
    assert loop(torch.randn(9, 3), 4).isfinite().all()


# --- films


@pytest.mark.parametrize("suffix", ["webp", "gif"])
def test_a_film_without_extras(tmp_path, netg, suffix):
    out = tmp_path / f"walk.{suffix}"
    run(netg, out, zoom=2, walks=3)
    frames = shown(out)
    assert len(frames) == 6
    assert frames[0].size == (64, 64)  # three walks in a grid of 2 x 2
    with Image.open(out) as picture:
        assert picture.info["loop"] == 0
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_same_seed_gives_the_same_film_and_another_another(tmp_path, netg):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        run(netg, tmp_path / f"{name}.webp", seed=seed)
    first, second, third = ((tmp_path / f"{name}.webp").read_bytes() for name in "abc")
    assert first == second
    assert first != third


def test_the_keys_are_the_candidates_of_generate(tmp_path, netg, monkeypatch):
    asked = []
    whole = Noise.__call__

    def noted(self, indices):
        asked.append((self.seed, self.std, list(indices)))
        return whole(self, indices)

    monkeypatch.setattr(Noise, "__call__", noted)
    run(netg, tmp_path / "a.webp", seed=7, keys=3, walks=2, gen_std=0.5)
    assert asked == [(7, 0.5, [0, 1, 2, 3, 4, 5])]


def test_labels_stay_through_a_walk(tmp_path):
    torch.manual_seed(0)
    net = models.build_netg(LABELLED)
    about = {"labels": LABELS}
    checkpoint.save_net(tmp_path / "netg.pth", "netg", net.state_dict(), LABELLED, about)
    run(tmp_path / "netg.pth", tmp_path / "a.webp", label="b", walks=2)
    run(tmp_path / "netg.pth", tmp_path / "b.webp")
    assert flags_of(tmp_path / "netg.pth", tmp_path / "c.webp", label="z") == ("--label",)


def test_h264(tmp_path, netg):
    av = pytest.importorskip("av", reason="needs the extra 'video'")
    run(netg, tmp_path / "walk.mp4", zoom=1, walks=5)
    with av.open(str(tmp_path / "walk.mp4")) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 48, 32)
        assert len(list(container.decode(video=0))) == 6
        assert float(stream.average_rate) == 6


def test_mistakes(tmp_path, netg):
    assert flags_of(netg, tmp_path / "walk.avi") == ("--out",)
    assert flags_of(netg, tmp_path / "a.webp", seconds=0.01) == ("--seconds",)
    assert flags_of(tmp_path / "none.pth", tmp_path / "a.webp") == ("--netg-path",)
    (tmp_path / "folder.webp").mkdir()
    assert flags_of(netg, tmp_path / "folder.webp") == ("--out",)
