"""The upsampling generator at the size that the projected discriminator is trained with."""

import torch
from torch import nn

from animegan.models import fastgan


def test_widths_and_parameters() -> None:
    netg = fastgan.Generator(image_size=96, channels=3, nz=100, width=64)
    deep = fastgan.Generator(image_size=96, channels=3, nz=100, width=64, convs=2)
    assert fastgan._widths(5, 64) == [192, 128, 64, 32, 16]
    assert fastgan._widths(7, 64)[:3] == [192, 192, 192]
    assert [stage.more is not None for stage in deep.stages] == [True, True, False, False]
    assert not [stage for stage in netg.stages if stage.more is not None]
    assert sum(one.numel() for one in netg.parameters()) == 2_401_328  # 2.4 M
    assert sum(one.numel() for one in deep.parameters()) == 2_848_304  # 2.8 M


def test_weights_of_one_convolution_keep_their_names_beside_a_second() -> None:
    """Files of generators from before there was a second one load."""
    one, two = (fastgan.Generator(32, 3, 10, width=8, convs=convs).state_dict() for convs in (1, 2))
    stage = {f"stages.0.{name}" for name in (
        "main.0.weight", "main.1.weight", "main.1.bias", "main.1.running_mean",
        "main.1.running_var", "main.1.num_batches_tracked", "modulate.weight", "modulate.bias",
    )}  # fmt: skip
    assert {name for name in one if name.startswith("stages.0.")} == stage
    assert one.keys() < two.keys()


def test_glu_equals_torchs() -> None:
    x = torch.randn(2, 6, 3, 3)
    torch.testing.assert_close(fastgan._GLU()(x), nn.GLU(1)(x))


def test_coarse_maps_gate_fine_ones() -> None:
    """6 -> 24, 12 -> 48, 24 -> 96: shutting the last gate makes the picture grey."""
    netg = fastgan.Generator(image_size=96, channels=3, nz=10, width=16).eval()
    assert len(netg.excite) == 3
    netg.excite[-1].gate.append(nn.Threshold(2.0, 0.0))
    assert not netg(torch.randn(2, 10, 1, 1)).any()


def test_the_noise_modulates_every_stage() -> None:
    """With the first map held fixed the picture still follows the noise, through each stage."""
    netg = fastgan.Generator(image_size=32, channels=3, nz=10, width=8, convs=2).eval()
    netg.first.register_forward_hook(lambda net, given, x: torch.ones_like(x))
    noise = torch.randn(2, 10, 1, 1)
    parts = [one for one in netg.modules() if isinstance(one, fastgan._Modulated)]
    assert len(parts) == 4  # to 8 pixels, again at 8, to 16, to 32
    one, two = netg(noise)
    assert not torch.equal(one, two)
    for kept in parts:
        for part in parts:
            nn.init.constant_(part.modulate.weight, 0.1 if part is kept else 0)
        one, two = netg(noise)
        assert not torch.equal(one, two)
    for part in parts:
        nn.init.zeros_(part.modulate.weight)
    one, two = netg(noise)
    assert torch.equal(one, two)
