"""Files that are damaged, need far more memory than they have, or were wrapped by others."""

import os
import shutil
import zipfile

import pytest
import torch

from animegan import models
from animegan.core.errors import UsageError
from animegan.models import Spec
from animegan.runs import archive, checkpoint

SMALL = Spec(image_size=16, nz=5, ngf=2, ndf=2)


@pytest.fixture
def path(tmp_path):
    """A generator's weight file."""
    net = models.build_netg(SMALL)
    checkpoint.save_net(tmp_path / "net.pth", "netg", net.state_dict(), SMALL, {"step": 1})
    return tmp_path / "net.pth"


def flag_of(path):
    with pytest.raises(UsageError) as caught:
        checkpoint.load_net(path, "netg")
    (flag,) = caught.value.flags
    return flag


def test_every_flipped_bit_of_the_weights_is_found(path, tmp_path):
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as file:
        spans = [
            (entry.header_offset, entry.file_size)
            for entry in file.infolist() if "/data/" in entry.filename
        ]  # fmt: skip
    tried = 0
    for offset, size in spans:
        name_length, extra = whole[offset + 26] + 256 * whole[offset + 27], whole[offset + 28]
        start = offset + 30 + name_length + extra + 256 * whole[offset + 29]
        for at in {start, start + size // 2, start + size - 1}:
            bad = bytearray(whole)
            bad[at] ^= 0x40
            path.write_bytes(bad)
            assert flag_of(path) == "--netg-path"
            tried += 1
    assert tried > 20
    path.write_bytes(whole)
    checkpoint.load_net(path, "netg")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_file_that_was_cut_is_refused(path, part):
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    assert flag_of(path) == "--netg-path"


def zipped_with(path, out, name, write):
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename.endswith(name):
                with new.open(entry.filename, "w") as file:
                    write(file)
            else:
                new.writestr(entry.filename, old.read(entry.filename))
    return out


def test_an_archive_that_would_unpack_to_much_more_is_refused(path, tmp_path, monkeypatch):
    bomb = zipped_with(path, tmp_path / "bomb.pth", "data/0", lambda file: file.write(bytes(2**24)))
    assert bomb.stat().st_size < 2**16
    monkeypatch.setattr(torch, "load", None)  # never comes to that
    monkeypatch.setattr(zipfile.ZipFile, "testzip", None)
    with pytest.raises(UsageError, match="would unpack"):
        checkpoint.load_net(bomb, "netg")


def test_tensors_that_repeat_what_is_stored_are_counted_in_full(tmp_path):
    path = tmp_path / "state.pt"
    torch.save({"exp_avg": torch.zeros(1).expand(2**28)}, path)
    with pytest.raises(UsageError) as caught:
        checkpoint.load(path, "--resume")
    assert caught.value.flags == ("--resume",)


def test_deep_nesting_is_refused_and_what_is_in_many_places_is_looked_at_once(tmp_path):
    deep, wide = [], []
    for _ in range(200):
        deep = [deep]
    for _ in range(45):
        wide = [wide, wide]
    path = tmp_path / "net.pth"
    torch.save({"a": wide}, path)
    checkpoint.load(path, "--netg-path")
    torch.save({"a": deep}, path)
    assert flag_of(path) == "--netg-path"


@pytest.mark.parametrize(
    "change",
    [
        {"nz": 10**7}, {"ngf": 10**6}, {"image_size": 10**9}, {"image_size": 0}, {"channels": 7},
        {"nz": -1}, {"nz": True}, {"nz": 5.0}, {"nz": None}, {"net": 3}, {"net": ["dcgan"]},
        {"net": "stylegan9"}, {"up": 7}, {"up": "sideways"}, {"classes": 5}, {"classes": ["a"]},
        {"classes": [2] * 10**4}, {"g_convs": 9}, {"d_input": 10**6}, {"unknown": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_description_that_does_not_fit_the_weights_takes_no_memory(path, monkeypatch, change):
    content = torch.load(path, weights_only=True)
    content["spec"] |= change
    torch.save(content, path)
    built = []
    plain = models.build_netg

    def build(spec):
        net = plain(spec)
        built.append(next(net.parameters()).device.type)
        return net

    monkeypatch.setattr(models, "build_netg", build)
    assert flag_of(path) == "--netg-path"
    assert "cpu" not in built


@pytest.mark.parametrize(
    "change",
    [{"spec": 3}, {"spec": None}, {"spec": []}, {"weights": [1]}, {"weights": None},
     {"options": [1]}, {"options": 3}, {"options": None}, {"options": {"data_path": "a\0b"}},
     {"options": {3: 3}}, {"options": {"resize": {"a": 1}}}, {"labels": 3}, {"labels": []},
     {"labels": {"names": [[1]], "values": [[2]]}}],
    ids=str,
)  # fmt: skip
def test_what_a_file_says_is_checked(path, change):
    content = torch.load(path, weights_only=True)
    torch.save(content | change, path)
    assert flag_of(path) == "--netg-path"


def test_a_network_of_a_newer_version_is_said_to_be_one(path):
    content = torch.load(path, weights_only=True)
    content["spec"]["net"] = "stylegan9"
    torch.save(content, path)
    with pytest.raises(UsageError, match=r"stylegan9.*version"):
        checkpoint.load_net(path, "netg")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_named(path, value):
    content = torch.load(path, weights_only=True)
    content["weights"]["main.3.weight"].view(-1)[7] = value
    torch.save(content, path)
    with pytest.raises(UsageError, match=r"main\.3\.weight"):
        checkpoint.load_net(path, "netg")


def test_large_weights_are_finite():
    assert archive.not_finite({"a": torch.full((10,), 3e38), "n": torch.tensor(3)}) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_named_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "net.pth")
    assert flag_of(tmp_path / "net.pth") == "--netg-path"


def test_building_for_its_shapes_draws_no_random_numbers(path):
    torch.manual_seed(3)
    models.build_netg(SMALL)
    expected = torch.rand(1)
    torch.manual_seed(3)
    checkpoint.load_net(path, "netg")
    assert torch.equal(torch.rand(1), expected)


# --- wrapped by others


def wrapped(weights, prefix):
    return {f"{prefix}{name}": tensor for name, tensor in weights.items()}


WRAPPED = {
    "plain": lambda g, d: g,
    "module": lambda g, d: wrapped(g, "module."),
    "compiled": lambda g, d: wrapped(g, "_orig_mod."),
    "both": lambda g, d: wrapped(g, "module._orig_mod."),
    "compiled of parallel": lambda g, d: wrapped(g, "_orig_mod.module."),
    "state_dict": lambda g, d: {"epoch": 3, "state_dict": g},
    "model": lambda g, d: {"model": wrapped(g, "module."), "optimizer": {"state": {}}},
    "pair": lambda g, d: {"netG": g, "netD": d, "epoch": 1},
    "nested pair": lambda g, d: {"state_dict": {"netG": wrapped(g, "module."), "netD": d}},
    "lightning": lambda g, d: {
        "state_dict": wrapped(g, "generator.") | wrapped(d, "discriminator.")
    },
}


@pytest.mark.parametrize("form", list(WRAPPED))
def test_the_textbooks_weights_load_from_within_what_others_wrap_them_in(tmp_path, form):
    spec = Spec(image_size=96, nz=5, ngf=2, ndf=2)
    netg, netd = models.build_netg(spec).state_dict(), models.build_netd(spec).state_dict()
    torch.save(WRAPPED[form](netg, netd), tmp_path / "net.pth")
    loaded = checkpoint.load_net(tmp_path / "net.pth", "netg")
    for name, tensor in netg.items():
        assert torch.equal(loaded.net.state_dict()[name], tensor)
    if "pair" in form or form == "lightning":
        assert checkpoint.load_net(tmp_path / "net.pth", "netd").spec.ndf == 2


# --- states


def save_state(path, step, **trainer):
    checkpoint.save({"format": checkpoint.FORMAT, "trainer": {"step": step, **trainer}}, path)
    return path


def test_a_state_that_is_not_what_its_name_says_is_passed_over(tmp_path, said):
    good = save_state(tmp_path / "state_00000001.pt", 1, netg={"a": torch.ones(1)})
    nan = save_state(tmp_path / "state_00000002.pt", 2, netg={"a": torch.tensor([float("nan")])})
    other = shutil.copy(good, tmp_path / "state_00000003.pt")
    flipped = save_state(tmp_path / "state_00000004.pt", 4, netg={"a": torch.ones(1000)})
    content = bytearray(flipped.read_bytes())
    content[content.index(torch.ones(10).numpy().tobytes()) + 400] ^= 1
    flipped.write_bytes(content)
    state = checkpoint.load_first([flipped, other, nan, good], "--resume")
    assert state["trainer"]["step"] == 1
    assert [
        str(path) in line for path, line in zip([flipped, other, nan], said[:3], strict=True)
    ] == ([True] * 3)
    assert len(list(tmp_path.iterdir())) == 4  # nothing is deleted


def shared_tuple(depth: int) -> bytes:
    """A pickled tuple of the same tuple twice, and so on: 2 ** depth parts."""
    return b"K\x01" + b"q\x00h\x00\x86" * depth


@pytest.mark.parametrize("content", [b"}%sK\x01s.", b"}X\x01\x00\x00\x00a%ss.", b"%s."])
@pytest.mark.parametrize("packed", [True, False])
def test_a_tuple_that_is_long_when_written_out_is_refused_before_it_is_made(
    tmp_path, content, packed
):
    path = tmp_path / "a.pth"
    pickled = b"\x80\x02" + content % shared_tuple(60)
    if packed:
        with zipfile.ZipFile(path, "w") as out:
            out.writestr("a/data.pkl", pickled)
    else:
        path.write_bytes(pickled)
    with pytest.raises(archive.Damaged, match="tuple"):
        archive.verify(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_what_torch_writes_has_no_long_tuples(tmp_path, zipped):
    net = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    content = {
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "some": (1, (2,), None),
    }
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    archive.verify(tmp_path / "a.pth")
