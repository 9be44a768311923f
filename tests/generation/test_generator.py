import pytest
import torch

import animegan
from animegan import models
from animegan.core.errors import UsageError
from animegan.generation.candidates import labels_of
from animegan.generation.generate import Noise, draw
from animegan.models import Spec
from animegan.models.fold import folded
from animegan.runs import checkpoint

CPU = torch.device("cpu")
PLAIN = Spec(image_size=16, nz=5, ngf=2, ndf=2)
LABELS = {"names": ["hair"], "values": [["aqua", "red"]], "rows": [[0], [1]], "counts": [1, 3]}


def saved(folder, spec=PLAIN, about=None):
    torch.manual_seed(0)
    path = folder / "netg_last.pth"
    checkpoint.save_net(path, "netg", models.build_netg(spec).state_dict(), spec, about or {})
    return path


@pytest.fixture
def labelled(tmp_path):
    spec = Spec(image_size=16, nz=5, ngf=2, ndf=2, classes=(2,), condition="projection")
    return saved(tmp_path, spec, {"labels": LABELS})


def test_noise_in_pictures_out(tmp_path):
    generator = animegan.load_generator(saved(tmp_path))
    assert (generator.nz, generator.image_size, generator.channels) == (5, 16, 3)
    assert generator.labels == {}
    noise = torch.randn(3, 5)
    pictures = generator(noise)
    assert (pictures.shape, pictures.dtype) == ((3, 3, 16, 16), torch.uint8)
    assert torch.equal(pictures, generator(noise.view(3, 5, 1, 1)))
    assert generator(noise[:0]).shape == (0, 3, 16, 16)
    assert not pictures.requires_grad


def test_a_sample_has_the_candidates_of_generate(tmp_path):
    path = saved(tmp_path)
    netg = folded(checkpoint.load_net(path, "netg").net)
    (expected,) = draw(netg, Noise(7, 5), range(4), CPU)
    found = torch.stack(list(animegan.load_generator(path).sample(4, seed=7)))
    assert torch.equal(found, expected)
    assert torch.equal(animegan.load_generator(path)(Noise(7, 5)(range(4))), expected)


def test_labels_are_taken_by_name(labelled):
    generator = animegan.load_generator(labelled)
    assert generator.labels == {"hair": ("aqua", "red")}
    noise = Noise(1, 5)(range(2))
    red = generator(noise, generator.encode("red", 2))
    assert torch.equal(red, torch.stack(list(generator.sample(2, seed=1, label="hair=red"))))
    assert not torch.equal(red, generator(noise, generator.encode("aqua", 2)))
    drawn = labels_of(checkpoint.load_net(labelled, "netg"), None, "")
    assert drawn is not None
    assert len(list(generator.sample(2))) == 2
    with pytest.raises(UsageError):
        generator.encode("green")


@pytest.mark.parametrize("shape", [(5,), (2, 4), (2, 5, 2, 1), (2, 5, 1)])
def test_noise_of_another_shape_is_refused(tmp_path, shape):
    generator = animegan.load_generator(saved(tmp_path))
    with pytest.raises(ValueError, match="noise is"):
        generator(torch.zeros(shape))


def test_labels_must_be_given_where_they_are_taken(tmp_path, labelled):
    generator = animegan.load_generator(labelled)
    with pytest.raises(ValueError, match="needs labels"):
        generator(torch.zeros(2, 5))
    with pytest.raises(ValueError, match="labels are"):
        generator(torch.zeros(2, 5), generator.encode("red", 3))
    plain = animegan.load_generator(saved(tmp_path))
    with pytest.raises(ValueError, match="takes no labels"):
        plain(torch.zeros(1, 5), torch.zeros(1, 1, dtype=torch.long))
    with pytest.raises(UsageError):
        plain.encode("red")
