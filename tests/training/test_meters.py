import pytest
import torch

from animegan.training.step.meters import NAMES, Meters, line

CPU = torch.device("cpu")


def test_means_are_over_what_each_meter_saw():
    meters = Meters(CPU)
    meters.add(loss_d=torch.tensor(1.0), d_x=torch.tensor(0.5))
    meters.add(loss_d=torch.tensor(4.0))
    means, beside = meters.read()
    assert means == {"loss_d": 2.5, "d_x": 0.5}  # the others saw nothing
    assert beside == []


def test_a_look_starts_anew():
    meters = Meters(CPU)
    meters.add(loss_g=torch.tensor(8.0))
    meters.read()
    assert meters.read() == ({}, [])
    meters.add(loss_g=torch.tensor(2.0))
    assert meters.read()[0] == {"loss_g": 2.0}


def test_scalars_beside_come_along_in_the_same_copy():
    meters = Meters(CPU)
    meters.add(d_g_z=torch.tensor(0.25))
    means, beside = meters.read(torch.tensor(-1), torch.tensor(2.5))
    assert means == {"d_g_z": 0.25}
    assert beside == [-1, 2.5]


def test_no_graph_is_kept():
    meters = Meters(CPU)
    meters.add(loss_d=torch.ones((), requires_grad=True) * 2)
    assert not meters.table.requires_grad


def test_adding_never_goes_to_the_host():
    meters = Meters(torch.device("meta"))  # a copy to the host would raise
    meters.add(loss_d=torch.ones((), device="meta"))
    assert meters.table.device.type == "meta"


def test_an_unknown_name_is_our_own_bug():
    with pytest.raises(ValueError, match="not in tuple"):
        Meters(CPU).add(loss=torch.ones(()))


def test_a_state_goes_on_with_the_same_means():
    meters, other = Meters(CPU), Meters(CPU)
    meters.add(loss_d=torch.tensor(1.0))
    state = {name: tensor.clone() for name, tensor in meters.state_dict().items()}
    other.load_state_dict(state)
    for one in (meters, other):
        one.add(loss_d=torch.tensor(2.0))
    assert meters.read() == other.read() == ({"loss_d": 1.5}, [])
    assert state["table"][0, NAMES.index("loss_d")] == 1  # the state is not the meter's own


def test_the_bar_shows_finite_means():
    assert line({"loss_d": 1.23456, "loss_g": float("nan")}) == {"loss_d": "1.235"}
