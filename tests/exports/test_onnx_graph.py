import numpy as np
import pytest
import torch
from torch import nn

from animegan import models
from animegan.exports.compact import compacted
from animegan.exports.onnx_graph import OPSET, compared, example_inputs, exported, graph_of
from animegan.models import Spec
from animegan.models.layers import NearestConv
from animegan.runs.checkpoint import LoadedNet

onnx = pytest.importorskip("onnx", reason="needs the extra 'onnx'")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra 'onnx'")
pytest.importorskip("onnxscript", reason="needs the extra 'onnx'")

LABELS = {"names": ["hair"], "values": [["a", "b"]], "rows": [[0], [1]], "counts": [1, 1]}
PLAIN = Spec(image_size=16, nz=5, ngf=8, ndf=2, net="fastgan")
SPECS = [
    Spec(image_size=16, nz=5, ngf=4, ndf=2, net="dcgan", classes=(2,)),
    Spec(image_size=16, nz=5, ngf=8, ndf=2, net="r3gan", channels=1),
]


def loaded(spec):
    """A generator with contrast, whose BatchNorm has seen something."""
    torch.manual_seed(0)
    net = models.build_netg(spec)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 2)
                module.bias.uniform_(-1, 1)
            elif isinstance(module, nn.Conv2d | NearestConv):
                module.weight.mul_(20)
    return LoadedNet(net, spec, {"labels": LABELS} if spec.classes else {})


def run(content, **inputs):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.net)
def test_any_number_of_pictures_as_torch_draws_them(spec):
    netg = loaded(spec)
    content, difference = graph_of(netg, "netg.pth", "float32", as_bytes=False)
    assert difference.largest < 0.1
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model)
    assert [each.version for each in model.opset_import if not each.domain] == [OPSET]
    for count in (1, 5):
        inputs = {"noise": torch.randn(count, 5)}
        if spec.classes:
            inputs["labels"] = torch.randint(-1, 2, (count, 1))
        drawn = run(content, **inputs)
        assert drawn.shape == (count, spec.channels, 16, 16)
        with torch.no_grad():
            expected = netg.net.eval()(
                inputs["noise"][:, :, None, None], *list(inputs.values())[1:]
            )
        np.testing.assert_allclose(drawn, expected.clamp(-1, 1).numpy(), atol=1e-4)


def test_bytes_and_smaller_weights():
    netg = loaded(PLAIN)
    inputs = example_inputs(netg, "netg.pth")
    model = exported(netg, inputs, as_bytes=True)
    files = {kind: compacted(model, kind) for kind in ("float32", "float16", "int8")}
    drawn = {kind: run(content, **inputs) for kind, content in files.items()}
    assert drawn["float32"].dtype == np.uint8
    assert drawn["float32"].shape == (64, 16, 16, 3)
    assert drawn["float32"].std() > 10
    sizes = [len(content) for content in files.values()]
    assert sizes == sorted(sizes, reverse=True)
    means = [compared(content, netg, inputs, True).mean for content in files.values()]
    assert means[0] < 0.01 < means[2]
    assert means[1] < 0.1
    assert means[1] < means[2] < 5
    apart = np.abs(drawn["int8"].astype(float) - drawn["float32"])  # what is said is what is drawn
    assert apart.mean() == pytest.approx(means[2], abs=0.02)
