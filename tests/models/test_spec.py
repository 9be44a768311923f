"""What describes a pair of nets: read from today's files and from those of older versions."""

import pytest

from animegan.config.config import OPTIONS
from animegan.models import FAMILIES, Spec


def test_a_spec_is_read_as_it_was_written() -> None:
    spec = Spec(48, net="fastgan", g_convs=2, d_norm="layer", classes=(3, 4), condition="acgan")
    assert Spec.read(spec.as_dict()) == spec


def test_a_former_field_may_only_have_its_default() -> None:
    assert Spec.read({**Spec().as_dict(), "d_pixels": 0}) == Spec()
    with pytest.raises(ValueError, match="d_pixels 8"):
        Spec.read({**Spec().as_dict(), "d_pixels": 8})
    with pytest.raises(TypeError):
        Spec.read({**Spec().as_dict(), "unknown": 0})


def test_the_option_names_every_family() -> None:
    assert OPTIONS["net"].choices == tuple(FAMILIES)
