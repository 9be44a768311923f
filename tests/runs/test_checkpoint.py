import io
import os
import pickle
import resource
import signal
import warnings
from collections import OrderedDict

import pytest
import torch
from torch import nn

from animegan import models
from animegan.core.errors import UsageError
from animegan.models import Spec
from animegan.runs import checkpoint
from animegan.runs.folder import Run
from tests.support.said import heard

SMALL = Spec(image_size=16, nz=5, ngf=2, ndf=2)


# --- the textbook's networks, from their definition


class NetG(nn.Module):
    def __init__(self, nz=100, ngf=64):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(nz, ngf * 8, 4, 1, 0, bias=False),
            nn.BatchNorm2d(ngf * 8),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 8, ngf * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ngf),
            nn.ReLU(True),
            nn.ConvTranspose2d(ngf, 3, 5, 3, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, noise):
        return self.main(noise)


class NetD(nn.Module):
    def __init__(self, ndf=64):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(3, ndf, 5, 3, 1, bias=False),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 2),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(ndf * 2, ndf * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 4),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(ndf * 4, ndf * 8, 4, 2, 1, bias=False),
            nn.BatchNorm2d(ndf * 8),
            nn.LeakyReLU(0.2, True),
            nn.Conv2d(ndf * 8, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, images):
        return self.main(images).view(-1)


def lived_in(net, inputs):
    """The net with statistics and scales that are not the initial ones."""
    with torch.no_grad():
        for _ in range(3):
            net(inputs)
        for one in net.modules():
            if isinstance(one, nn.BatchNorm2d):
                one.weight.uniform_(0.5, 1.5)
                one.bias.normal_(0, 0.1)
    return net


def textbook(nz=6, width=2):
    torch.manual_seed(0)
    noise, images = torch.randn(4, nz, 1, 1), torch.rand(4, 3, 96, 96) * 2 - 1
    return lived_in(NetG(nz, width), noise), lived_in(NetD(width), images), noise, images


ZIP, OLD = {}, {"_use_new_zipfile_serialization": False}


@pytest.mark.parametrize("how", [ZIP, OLD], ids=["zip", "old"])
@pytest.mark.parametrize("counters", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("nz", "width"), [(6, 2), (1, 3), (100, 4)])
def test_the_textbooks_files_load_and_compute_the_same(
    tmp_path, how, counters, training, nz, width
):
    netg, netd, noise, images = textbook(nz, width)
    for name, net in (("netg", netg), ("netd", netd)):
        weights = net.state_dict()
        if not counters:  # as torch before 0.4.1 saved them
            weights = OrderedDict((k, v) for k, v in weights.items() if "num_batches" not in k)
            assert len(weights) < len(net.state_dict())
        torch.save(weights, tmp_path / f"{name}_200.pth", **how)
    our_g = checkpoint.load_net(tmp_path / "netg_200.pth", "netg")
    our_d = checkpoint.load_net(tmp_path / "netd_200.pth", "netd")
    assert (our_g.spec.image_size, our_g.spec.channels) == (96, 3)
    assert (our_g.spec.nz, our_g.spec.ngf, our_d.spec.ndf) == (nz, width, width)
    assert our_d.spec.image_size == 96
    with torch.no_grad():
        for net in (netg, netd, our_g.net, our_d.net):
            net.train(training)
        torch.testing.assert_close(our_g.net(noise), netg(noise), rtol=0, atol=1e-5)
        torch.testing.assert_close(our_d.net(images).sigmoid(), netd(images), rtol=0, atol=1e-5)
    for mine, theirs in (
        (our_g.net, netg),
        (our_d.net, netd),
    ):  # batch statistics went the same way
        for name, buffer in theirs.named_buffers():
            if counters or "num_batches" not in name:
                torch.testing.assert_close(mine.get_buffer(name), buffer, rtol=0, atol=1e-5)


def test_the_textbooks_own_size_is_the_default_spec():
    spec = Spec()
    ours = {name: one.shape for name, one in models.build_netg(spec).state_dict().items()}
    assert ours == {name: one.shape for name, one in NetG().state_dict().items()}
    ours = {name: one.shape for name, one in models.build_netd(spec).state_dict().items()}
    assert ours == {name: one.shape for name, one in NetD().state_dict().items()}


@pytest.mark.parametrize("how", [ZIP, OLD], ids=["zip", "old"])
def test_a_file_saved_on_cuda_loads_without_it(tmp_path, monkeypatch, how):
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    netg, _, noise, _ = textbook()
    path = tmp_path / "netg_200.pth"
    with monkeypatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        torch.save(netg.state_dict(), path, **how)
    with pytest.raises(RuntimeError, match="CUDA"):  # so it does say cuda:0
        torch.load(path, weights_only=True)
    loaded = checkpoint.load_net(path, "netg")
    assert {one.device.type for one in loaded.net.parameters()} == {"cpu"}
    torch.testing.assert_close(loaded.net(noise), netg(noise), rtol=0, atol=1e-5)


# --- our own files


def small_net(kind, spec=SMALL):
    torch.manual_seed(1)
    return models.build_netg(spec) if kind == "netg" else models.build_netd(spec)


def write_net(path, kind, spec=SMALL, **about):
    net = small_net(kind, spec)
    checkpoint.save_net(path, kind, net.state_dict(), spec, about)
    return net


@pytest.mark.parametrize("kind", ["netg", "netd"])
@pytest.mark.parametrize(
    "spec", [SMALL, Spec(28, 1, 3, 2, 4), Spec(64, 3, 5, 1, 1), Spec(8, 3, 5, 1, 1)]
)
def test_our_files_need_nothing_beside_them(tmp_path, kind, spec):
    net = write_net(tmp_path / "net.pth", kind, spec, step=7, epoch=0.5, options={"nz": spec.nz})
    loaded = checkpoint.load_net(str(tmp_path / "net.pth"), kind)
    assert loaded.spec == spec
    assert loaded.about["step"] == 7
    assert loaded.about["options"] == {"nz": spec.nz}
    for name, tensor in net.state_dict().items():
        assert torch.equal(loaded.net.state_dict()[name], tensor)


def test_weights_are_kept_on_the_cpu_in_the_usual_order_of_memory(tmp_path):
    net = small_net("netg").to(memory_format=torch.channels_last)
    checkpoint.save_net(tmp_path / "net.pth", "netg", net.state_dict(), SMALL, {})
    weights = checkpoint.load(tmp_path / "net.pth", "--netg-path")["weights"]
    assert all(one.is_contiguous() and not one.requires_grad for one in weights.values())


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "net.pth"
    write_net(path, "netg")
    before = path.read_bytes()

    def cut(content, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", cut)
    with pytest.raises(OSError, match="No space"):
        write_net(path, "netg")
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["net.pth"]


def test_a_full_disk_is_said_to_be_full(tmp_path):
    """torch's zip writer raises a RuntimeError on top of the OSError."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    path = tmp_path / "a.pt"
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with pytest.raises(OSError, match="File too large") as caught:
            checkpoint.save({"a": torch.zeros(100_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    path, synced = tmp_path / "netg.pth", {}

    def fsync(descriptor):
        found = os.fstat(descriptor)
        synced[found.st_ino] = found.st_size, path.exists()

    monkeypatch.setattr(os, "fsync", fsync)
    checkpoint.save({"step": 1}, path)
    assert synced[path.stat().st_ino] == (path.stat().st_size, False)


def test_the_newest_states_are_kept(tmp_path):
    files = [tmp_path / f"state_{k}.pt" for k in (3, 2, 1)]
    for file in files[:2]:  # the last is gone already
        file.write_bytes(b"")
    checkpoint.prune(files, 1)
    assert os.listdir(tmp_path) == ["state_3.pt"]


# --- files that are refused


def problem_of(path, kind="netg"):
    with pytest.raises(UsageError) as caught:
        checkpoint.load_net(path, kind)
    (problem,) = caught.value.problems
    assert problem.startswith(f"--{kind}-path {path}: ")
    assert "\n" not in problem
    return problem


class Payload:
    def __init__(self, call, *args):
        self.call = (call, args)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("form", ["zip", "old", "bare"])
@pytest.mark.parametrize(
    ("call", "named"), [(os.system, os.system.__module__ + ".system"), (eval, "eval")]
)
def test_code_is_named_and_never_run(tmp_path, form, call, named):
    mark = tmp_path / "mark"
    order = f"touch {mark}" if call is os.system else f"open({str(mark)!r}, 'w').close()"
    content, path = {"main.0.weight": Payload(call, order)}, tmp_path / "bad.pth"
    if form == "bare":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, **(ZIP if form == "zip" else OLD))
    assert f"code ({named})" in problem_of(path)
    assert not mark.exists()


def test_the_payload_would_have_run(tmp_path):
    mark = tmp_path / "mark"
    torch.save(Payload(os.system, f"touch {mark}"), tmp_path / "bad.pth")
    torch.load(tmp_path / "bad.pth", weights_only=False)
    assert mark.exists()


def test_a_whole_pickled_network_is_refused_by_its_class(tmp_path):
    torch.save(small_net("netg"), tmp_path / "whole.pth")
    problem = problem_of(tmp_path / "whole.pth")
    assert "animegan.models.dcgan.Generator" in problem
    assert "state_dict" in problem


@pytest.mark.parametrize("how", [ZIP, OLD], ids=["zip", "old"])
def test_a_truncated_file_gets_one_line_wherever_it_is_cut(tmp_path, how):
    whole, path = io.BytesIO(), tmp_path / "cut.pth"
    torch.save(small_net("netg").state_dict(), whole, **how)
    content = whole.getvalue()
    for length in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:length])
        problem_of(path)


@pytest.mark.parametrize("how", [ZIP, OLD], ids=["zip", "old"])
def test_a_damaged_file_gets_one_line_or_loads(tmp_path, how):
    whole, path = io.BytesIO(), tmp_path / "damaged.pth"
    torch.save(small_net("netg").state_dict(), whole, **how)
    source = torch.Generator().manual_seed(0)
    problems = []
    for _ in range(100):
        content = bytearray(whole.getvalue())
        at, byte = torch.randint(0, 2**31, (2,), generator=source).tolist()
        content[at % 2500] = byte % 256  # among the names and numbers of the pickle
        path.write_bytes(content)
        try:
            checkpoint.load_net(path, "netg")
        except UsageError as error:
            problems.append(str(error))
    assert len(problems) > 5
    assert not any("\n" in problem for problem in problems)


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"<html>" * 500, bytes(5000), b"PK\3\4" + bytes(200)]
)
def test_a_foreign_file_gets_one_line(tmp_path, content):
    path = tmp_path / "foreign.pth"
    path.write_bytes(content)
    assert "truncated, or not a torch weight file" in problem_of(path)


def test_a_pickle_of_another_protocol_is_no_warning(tmp_path):
    path = tmp_path / "foreign.pkl"
    path.write_bytes(pickle.dumps({"a": 1}, protocol=4))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        problem_of(path)
    assert seen == []


def test_missing_files_and_folders_get_one_line(tmp_path):
    assert "no such file" in problem_of(tmp_path / "away.pth")
    assert "is a folder" in problem_of(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    assert "cannot be read" in problem_of(tmp_path / "file" / "net.pth")


def test_a_file_that_may_not_be_read_is_not_called_truncated(tmp_path, monkeypatch):
    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "net.pth").write_bytes(b"\x80\x02N." * 5)
    monkeypatch.setattr(torch, "load", denied)
    assert "cannot be read (Permission denied)" in problem_of(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "contains a list"),
        ({}, "not a weight file of this tool or of the textbook"),
        ({"model": {"main.0.weight": torch.ones(1)}}, "not a weight file"),
        ({"fc.weight": torch.ones(3, 3)}, "not a weight file"),
        ({"main.0.weight": torch.ones(3, 3)}, "not a weight file"),
        ({"format": 99, "kind": "netg"}, "format 99, but this version reads 1"),
        ({"format": 1, "trainer": {}, "seconds": 0.0}, "is a state, for --resume"),
        ({"format": 1, "kind": "netg"}, "does not describe its net"),
        ({"format": 1, "kind": "netg", "spec": {"what": 1}, "weights": {}}, "does not describe"),
        ({"format": 1, "kind": "netg", "spec": SMALL.as_dict(), "weights": 5}, "does not describe"),
        ({"format": 1, "kind": "netg", "spec": {"image_size": 97}, "weights": {}}, "97 pixels"),
        (
            {"format": 1, "kind": "netg", "spec": {"image_size": "x"}, "weights": {}},
            "does not describe",
        ),
        ({"format": 1, "kind": "netg", "spec": SMALL.as_dict(), "weights": {}}, "do not fit"),
        ({"format": 1, "kind": "netg", "spec": SMALL.as_dict(), "weights": {1: 2}}, "do not fit"),
    ],
)
def test_what_is_no_net_gets_one_line(tmp_path, content, words):
    path = tmp_path / "odd.pth"
    torch.save(content, path)
    assert words in problem_of(path)


def test_the_two_nets_are_told_apart(tmp_path):
    netg, netd, _, _ = textbook()
    write_net(tmp_path / "our_g.pth", "netg")
    write_net(tmp_path / "our_d.pth", "netd")
    torch.save(netg.state_dict(), tmp_path / "their_g.pth")
    torch.save(netd.state_dict(), tmp_path / "their_d.pth")
    for whose in ("our", "their"):
        assert "contains a netd, not a netg" in problem_of(tmp_path / f"{whose}_d.pth", "netg")
        assert "contains a netg, not a netd" in problem_of(tmp_path / f"{whose}_g.pth", "netd")


@pytest.mark.parametrize("kind", ["netg", "netd"])
def test_weights_of_other_shapes_name_the_trouble(tmp_path, kind):
    weights = small_net(kind).state_dict()
    other = Spec(image_size=16, nz=5, ngf=3, ndf=3)
    checkpoint.save_net(tmp_path / "net.pth", kind, weights, other, {})
    assert "size mismatch for main.0.weight" in problem_of(tmp_path / "net.pth", kind)


def test_a_layer_too_much_is_not_dropped_in_silence(tmp_path):
    netg, _, _, _ = textbook()
    weights = netg.state_dict()
    weights["main.99.bias"] = torch.ones(1)
    torch.save(weights, tmp_path / "net.pth")
    assert "main.99.bias" in problem_of(tmp_path / "net.pth")


# --- states


def write_state(path, step):
    checkpoint.save({"format": checkpoint.FORMAT, "trainer": {"step": step}}, path)
    return path


def test_the_first_state_that_can_be_read_is_taken(tmp_path):
    good = write_state(tmp_path / "state_1.pt", 1)
    cut = write_state(tmp_path / "state_2.pt", 2)
    cut.write_bytes(cut.read_bytes()[:-100])
    said = heard()
    state = checkpoint.load_first([cut, good], "--resume")
    assert state["trainer"]["step"] == 1
    assert str(cut) in said[0]
    assert "trying the previous one" in said[0]


def test_a_newer_state_that_could_not_be_read_is_kept_under_another_name(tmp_path):
    run = Run(tmp_path)
    run.states.mkdir()
    for step in (1, 2, 3):
        write_state(run.states / f"state_{step}.pt", step)
    cut = run.states / "state_3.pt"
    content = cut.read_bytes()[:-100]
    cut.write_bytes(content)
    assert checkpoint.load_first(run.state_files(), "--resume")["trainer"]["step"] == 2
    run.forget_after(2)
    assert (run.states / f"state_3.pt{checkpoint.UNREAD}").read_bytes() == content
    assert [path.name for path in run.state_files()] == ["state_2.pt", "state_1.pt"]


def test_nothing_is_renamed_if_no_state_is_whole(tmp_path):
    paths = [tmp_path / "state_2.pt", tmp_path / "state_1.pt"]
    for path in paths:
        path.write_bytes(b"no state")
    with pytest.raises(UsageError):
        checkpoint.load_first(paths, "--resume")
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_the_newest_state_is_taken_without_a_word(tmp_path):
    paths = [write_state(tmp_path / f"state_{k}.pt", k) for k in (2, 1)]
    said = heard()
    assert checkpoint.load_first(paths, "--resume")["trainer"]["step"] == 2
    assert said == []


@pytest.mark.parametrize("content", [{"format": 99, "trainer": {}}, [1], {"format": 1}])
def test_no_state_to_go_on_from_is_an_error(tmp_path, content):
    torch.save(content, tmp_path / "state_1.pt")
    with pytest.raises(UsageError, match=r"--resume .*not a state file of this version"):
        checkpoint.load_first([tmp_path / "state_1.pt"], "--resume")


def test_a_net_is_no_state(tmp_path):
    write_net(tmp_path / "state_1.pt", "netg")
    with pytest.raises(UsageError, match="not a state file"):
        checkpoint.load_first([tmp_path / "state_1.pt"], "--resume")
