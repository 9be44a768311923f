"""Compilation around the nets: torch traces and splits them for autograd, no C++ is compiled."""

import copy

import pytest
import torch
from torch import nn
from torch._dynamo.backends.common import aot_autograd
from torch.nn.utils.parametrizations import spectral_norm

from animegan.runtime.device import Runtime
from animegan.runtime.distributed import ProcessGroup
from animegan.training.step import compiling
from tests.support.said import heard
from tests.support.tiny import config_of, trainer_of

CPU = torch.device("cpu")

# torch looks at the gradient of every input, of those in a graph as well, and does not compile what
# warns if warnings are errors
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute")


class Graphs:
    """What was compiled; each graph runs as it was traced."""

    def __init__(self):
        self.forward, self.backward = [], []
        self.backend = aot_autograd(
            fw_compiler=self._keep(self.forward), bw_compiler=self._keep(self.backward)
        )

    @staticmethod
    def _keep(graphs):
        def compile_(graph, inputs):
            graphs.append(graph)

            def run(args):  # the list is emptied, as torch wants it
                values = list(args)
                args.clear()
                return graph.forward(*values)

            run._boxed_call = True
            return run

        return compile_

    def gradients(self):
        """How many gradients each backward graph computes."""
        found = []
        for graph in self.backward:
            (outputs,) = (node.args[0] for node in graph.graph.nodes if node.op == "output")
            found.append(sum(one is not None for one in outputs))
        return found


@pytest.fixture
def graphs(monkeypatch):
    def compile_(function, **options):
        return original(function, backend=found.backend, **options)

    found, original = Graphs(), torch.compile
    monkeypatch.setattr(torch, "compile", compile_)
    torch.compiler.reset()
    yield found
    torch.compiler.reset()


class TinyG(nn.Module):
    """Noise [B, 5, 1, 1] -> pictures [B, 3, 8, 8]."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(5, 8, bias=False)
        self.norm = nn.BatchNorm1d(8)
        self.last = nn.Linear(8, 192)

    def forward(self, noise, labels=None):
        return self.last(self.norm(self.first(noise.flatten(1))).relu()).tanh().view(-1, 3, 8, 8)


class TinyD(nn.Module):
    """Pictures -> logits [B]; like a discriminator's, its norms write to buffers."""

    def __init__(self, batch):
        super().__init__()
        self.first = spectral_norm(nn.Linear(192, 8, bias=False))
        self.norm = nn.BatchNorm1d(8) if batch else nn.Identity()
        self.last = nn.Linear(8, 1)

    def forward(self, images, labels=None):
        return self.last(self.norm(self.first(images.flatten(1))).relu()).flatten()


def tiny(batch=True, **options):
    torch.manual_seed(0)
    return trainer_of(netg=TinyG(), netd=TinyD(batch), image_size=8, ema=100, **options)


def train(trainer, batches):
    for _ in range(batches):
        trainer.train_batch()
    return trainer


def assert_same_nets(one, other, **bounds):
    for kind in ("netg", "netd"):
        states = (getattr(trainer, kind).state_dict() for trainer in (one, other))
        torch.testing.assert_close(*states, **bounds)


@pytest.mark.parametrize(
    "options",
    [
        {"objective": "r3gan", "batch": False},
        {"d_every": 2},  # the generator's step is the first that is traced
        {"d_every": 2, "objective": "ra-hinge", "batch": False},  # that step judges reals, too
        {"accumulate": 2, "batch": False},
    ],
)
def test_compiled_updates_equal_eager_ones(graphs, options):
    eager, compiled = train(tiny(**options), 4), train(tiny(compile=True, **options), 4)
    assert len(compiled.passes.compiled) == 2
    # an update moves a weight by about the rate, 2e-4, whatever the size of its gradient
    assert_same_nets(eager, compiled, rtol=1e-5, atol=2e-5)
    count = len(graphs.forward)
    compiled.sample(compiled.fixed_noise())
    compiled.probe()
    assert len(graphs.forward) == count  # what draws and measures is not compiled


@pytest.mark.parametrize("d_every", [1, 2])
def test_the_generators_step_computes_no_gradient_of_netds_weights(graphs, d_every):
    trainer = train(tiny(compile=True, d_every=d_every), 2)
    weights = [len(list(net.parameters())) for net in (trainer.netg, trainer.netd)]
    of_pictures = 1
    assert set(graphs.gradients()) == {of_pictures, *weights}  # none of pictures and weights


def test_a_resumed_compiled_training_equals_an_uninterrupted_one(graphs):
    whole = train(tiny(compile=True), 2)
    state = copy.deepcopy(whole.state_dict())
    train(whole, 2)
    torch.compiler.reset()
    resumed = tiny(compile=True)
    resumed.load_state_dict(state)
    train(resumed, 2)
    assert len(resumed.passes.compiled) == 2
    assert_same_nets(whole, resumed, rtol=0, atol=0)


def test_a_penalised_discriminator_runs_eager_and_the_plan_says_so(graphs):
    trainer = train(tiny(compile=True, batch=False, r1=1), 1)
    assert len(trainer.passes.compiled) == 1
    nets = (trainer.netg, trainer.netd)
    told = compiling.describe(trainer.config, *nets, Runtime(CPU))
    assert told.startswith("netg compiled; netd eager (its gradient penalty")


def test_what_stays_eager_has_a_reason():
    nets = (TinyG(), TinyD(batch=False))
    assert compiling.eager(config_of(), *nets, Runtime(CPU)) == {}
    names = config_of(labels="folders", condition="acgan")
    assert set(compiling.eager(names, *nets, Runtime(CPU))) == {"netd"}
    two = Runtime(CPU, group=ProcessGroup(size=2))
    assert set(compiling.eager(config_of(), *nets, two)) == {"netg"}  # it has BatchNorm


def test_a_failing_compiler_is_told_and_done_without(monkeypatch):
    import torch._inductor.exc

    def fails(function, **options):
        def call(*inputs):
            raise torch._inductor.exc.InvalidCxxCompiler

        return call

    monkeypatch.setattr(torch, "compile", fails)
    said = heard()
    trainer, eager = train(tiny(compile=True), 2), train(tiny(), 2)
    (line,) = said
    assert line.startswith("--compile: failed (InvalidCxxCompiler: No working C++ compiler")
    assert line.endswith("; training continues without it")
    assert len(trainer.passes.compiled) == 0
    assert_same_nets(trainer, eager, rtol=0, atol=0)


def test_an_error_of_the_training_is_none_of_the_compiler():
    assert not compiling.is_failure(RuntimeError("CUDA out of memory"))


def test_a_graph_that_spoils_another_is_the_compilers() -> None:
    x = torch.ones(2, requires_grad=True)
    kept = x.exp()
    total = kept.sum()
    with torch.no_grad():
        kept.mul_(2)
    with pytest.raises(RuntimeError) as caught:
        total.backward()
    assert compiling.is_failure(caught.value)


def test_nothing_is_compiled_on_the_meta_device():
    trainer = trainer_of(device=torch.device("meta"), compile=True)
    trainer.train_batch()
    assert len(trainer.passes.compiled) == 0
