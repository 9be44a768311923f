import json
import struct

import pytest
import safetensors
import safetensors.torch
import torch

import animegan
from animegan import models
from animegan.core.errors import UsageError
from animegan.models import Spec
from animegan.runs import checkpoint, safetensors_file
from animegan.runs.checkpoint import LoadedNet

SPECS = [
    Spec(image_size=16, nz=5, ngf=2, ndf=2),
    Spec(image_size=32, nz=5, ngf=4, ndf=4, net="fastgan", g_convs=2, classes=(2, 3)),
]
LABELS = {
    "names": ["hair", "eyes"], "values": [["red", "blue"], ["a", "b", "c"]],
    "rows": [[0, 1], [1, -1]], "counts": [3, 1],
}  # fmt: skip


def netg(spec):
    torch.manual_seed(1)
    about = {"step": 7, "options": {"nz": spec.nz, "name": None}}
    if spec.classes:
        about["labels"] = LABELS
    return LoadedNet(models.build_netg(spec), spec, about)


def written(tmp_path, half=False, spec=SPECS[0], name="netg.safetensors"):
    loaded = netg(spec)
    checkpoint.save_safetensors(tmp_path / name, loaded, half)
    return loaded, tmp_path / name


def problem_of(path, kind="netg"):
    with pytest.raises(UsageError) as caught:
        checkpoint.load_net(path, kind)
    (problem,) = caught.value.problems
    assert problem.startswith(f"--{kind}-path {path}: ")
    assert "\n" not in problem
    return problem


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.net)
@pytest.mark.parametrize("name", ["netg.safetensors", "netg.pth"])
def test_a_file_is_known_by_its_content_and_gives_back_what_was_written(tmp_path, spec, name):
    before, path = written(tmp_path, spec=spec, name=name)
    after = checkpoint.load_net(path, "netg")
    assert after.spec == spec
    assert {key: after.about[key] for key in before.about} == before.about
    for key, tensor in before.net.state_dict().items():
        assert torch.equal(after.net.state_dict()[key], tensor)


def test_what_a_file_of_torch_says_survives_the_way_there_and_back(tmp_path):
    net = netg(SPECS[1])
    checkpoint.save_net(tmp_path / "a.pth", "netg", net.net.state_dict(), net.spec, net.about)
    first = checkpoint.load_net(tmp_path / "a.pth", "netg")
    checkpoint.save_safetensors(tmp_path / "b.safetensors", first)
    assert checkpoint.load_net(tmp_path / "b.safetensors", "netg").about == first.about


def test_half_rounds_to_float16_and_is_read_as_float32(tmp_path):
    before, path = written(tmp_path, half=True, spec=SPECS[1])
    with safetensors.safe_open(path, "pt") as file:
        kinds = {file.get_tensor(name).dtype for name in file.keys()}  # noqa: SIM118
    assert kinds == {torch.float16, torch.float32, torch.int64}
    after = checkpoint.load_net(path, "netg").net.state_dict()
    for name, tensor in before.net.state_dict().items():
        assert after[name].dtype == tensor.dtype
        rounded = tensor.half() if tensor.is_floating_point() and tensor.dim() > 1 else tensor
        assert torch.equal(after[name], rounded.to(tensor.dtype))


def test_weights_beyond_float16_are_refused(tmp_path):
    loaded = netg(SPECS[0])
    with torch.no_grad():
        next(iter(loaded.net.parameters())).fill_(1e5)
    with pytest.raises(UsageError) as caught:
        checkpoint.save_safetensors(tmp_path / "a.safetensors", loaded, half=True)
    assert caught.value.flags == ("--half",)
    assert not list(tmp_path.iterdir())


def test_other_programs_read_the_weights_and_the_description(tmp_path):
    _, path = written(tmp_path)
    with safetensors.safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["animegan"])["spec"]["image_size"] == 16


def test_the_library_function_and_a_plain_file_of_another_program(tmp_path):
    _, path = written(tmp_path, spec=SPECS[1])
    pictures = animegan.load_generator(path)
    assert pictures.labels == {"hair": ("red", "blue"), "eyes": ("a", "b", "c")}
    textbook = models.build_netg(Spec(nz=6, ngf=2))
    safetensors.torch.save_file(textbook.state_dict(), tmp_path / "plain.safetensors")
    assert checkpoint.load_net(tmp_path / "plain.safetensors", "netg").spec.nz == 6


def test_a_discriminator_is_wanted(tmp_path):
    _, path = written(tmp_path)
    assert "contains a netg" in problem_of(path, "netd")


def test_a_state_is_wanted(tmp_path):
    _, path = written(tmp_path, name="state_7.pt")
    with pytest.raises(UsageError):
        checkpoint.load_state(path, "--resume")


# --- files that are refused


def test_a_truncated_file_gets_one_line_wherever_it_is_cut(tmp_path):
    _, path = written(tmp_path)
    content = path.read_bytes()
    for length in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:length])
        problem_of(path)
    path.write_bytes(content + b"\0")
    problem_of(path)


def test_one_flipped_bit_of_the_weights_is_noticed(tmp_path):
    _, path = written(tmp_path)
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)
    assert "checksum" in problem_of(path)


def test_a_damaged_header_gets_one_line_or_loads(tmp_path):
    _, path = written(tmp_path)
    whole = path.read_bytes()
    source = torch.Generator().manual_seed(0)
    problems = []
    for _ in range(200):
        content = bytearray(whole)
        at, byte = torch.randint(0, 2**31, (2,), generator=source).tolist()
        content[at % 1500] = byte % 256
        path.write_bytes(content)
        try:
            checkpoint.load_net(path, "netg")
        except UsageError as error:
            problems.append(str(error))
    assert len(problems) > 50
    assert not any("\n" in problem for problem in problems)


def with_header(header: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header


@pytest.mark.parametrize(
    "content",
    [
        with_header(b"{" + b"[" * 100_000),
        with_header(b"{}", 2**63),
        with_header(b'{"__metadata__":{"animegan":3}}'),
        with_header(b'{"__metadata__":{"animegan":"[]"}}'),
        with_header(b'{"__metadata__":{"animegan":"{\\"format\\":1}"}}'),
        with_header(b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}'),
        with_header(b'{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}')
        + bytes(4),
        with_header(b"{}"),
    ],
)  # fmt: skip
def test_a_hostile_header_gets_one_line(tmp_path, content):
    (tmp_path / "bad.safetensors").write_bytes(content)
    problem_of(tmp_path / "bad.safetensors")


def test_a_header_beyond_the_bound_is_never_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr(safetensors_file, "MOST_HEADER", 10)
    _, path = written(tmp_path)
    assert "length" in problem_of(path)


def test_weights_that_are_not_finite_or_of_another_shape(tmp_path):
    loaded = netg(SPECS[0])
    with torch.no_grad():
        next(iter(loaded.net.parameters()))[0] = float("nan")
    checkpoint.save_safetensors(tmp_path / "nan.safetensors", loaded)
    assert "not finite" in problem_of(tmp_path / "nan.safetensors")
    other = LoadedNet(netg(SPECS[0]).net, Spec(image_size=16, nz=4096, ngf=512, ndf=2), {})
    checkpoint.save_safetensors(tmp_path / "big.safetensors", other)
    assert "do not fit" in problem_of(tmp_path / "big.safetensors")
