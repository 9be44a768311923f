import dataclasses
import re

import pytest

from animegan.cli import app as main
from animegan.config.config import OPTIONS, Config
from animegan.config.options import Layer
from animegan.config.presets import PRESETS
from animegan.config.resolve import resolve, typed
from animegan.config.resume import refuse_changes, saved_options, to_resume
from animegan.core.errors import UsageError
from animegan.models import Spec
from animegan.runs.folder import Run

BOOK = re.findall(
    r"\w+",
    """data_path num_workers image_size batch_size max_epoch lr1 lr2 beta1 gpu nz ngf ndf
    save_path vis env plot_every debug_file d_every g_every save_every netd_path netg_path gen_img
    gen_num gen_search_num gen_mean gen_std""",
)


def problems_of(command, **flags):
    with pytest.raises(UsageError) as caught:
        resolve(command, flags)
    return caught.value.problems


def test_every_option_of_the_textbook_is_there():
    assert [name for name in BOOK if name not in OPTIONS] == []


def test_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().nz = 3  # type: ignore[misc]


def test_every_option_says_what_it_means():
    assert [one.name for one in OPTIONS.values() if len(one.help) < 10] == []


def test_every_option_is_for_commands_that_there_are():
    assert {one for option in OPTIONS.values() for one in option.on} == set(main.COMMANDS)


def test_defaults_pass_their_own_checks():
    for one in OPTIONS.values():
        assert one.read(one.default) == one.default


def test_defaults_are_what_a_bare_command_line_means():
    """Those of --preset=scratch; the help page shows what `best` brings."""
    assert resolve("train", {"preset": "scratch"})[0] == Config(preset="scratch")


def test_preset_book_has_the_textbook_values():
    config, sources = resolve("train", {"preset": "book"})
    assert (config.image_size, config.batch_size, config.max_epoch) == (96, 256, 200)
    assert (config.lr1, config.lr2, config.beta1) == (2e-4, 2e-4, 0.5)
    assert (config.nz, config.ngf, config.ndf) == (100, 64, 64)
    assert (config.plot_every, config.d_every, config.g_every, config.save_every) == (20, 1, 5, 10)
    assert (config.gen_num, config.gen_search_num) == (64, 512)
    assert (config.net, config.loss) == ("dcgan", "bce")
    assert (config.flip, config.augment, config.ema) == (False, "none", 0)
    assert sources["g_every"] == "preset book"


def test_presets_hold_valid_options():
    for name in PRESETS:
        resolve("train", {"preset": name})


def test_flags_beat_the_file_which_beats_the_preset(tmp_path):
    file = tmp_path / "my.toml"
    file.write_text('preset = "book"\nbatch-size = 32\nlr1 = 1e-3\n')
    config, sources = resolve(
        "train", {"config": str(file), "lr1": "5e-4"}, Layer("run x", {"nz": 7})
    )
    assert (config.g_every, config.batch_size, config.lr1, config.nz) == (5, 32, 5e-4, 100)
    assert sources["batch_size"] == str(file)
    assert sources["lr1"] == "flag"


def test_one_convolution_is_what_nothing_said_means(tmp_path):
    assert resolve("train", {"data_path": str(tmp_path), "g_convs": "1"})[0].g_convs is None
    best = {"data_path": str(tmp_path), "preset": "best"}
    assert resolve("train", best)[0].g_convs == 2
    assert resolve("train", {**best, "g_convs": "1"})[0].g_convs is None


def test_a_typed_objective_brings_its_own_beside_features(tmp_path):
    words = {"data_path": str(tmp_path), "d_features": "lite0"}
    assert resolve("train", words)[1]["loss"] == "d-features lite0"
    _, sources = resolve("train", {**words, "loss": "lsgan"})
    assert sources["loss"] == "flag"
    assert "loss hinge" not in sources.values()


def test_the_run_to_resume_may_be_named_in_the_file(tmp_path):
    for name in ("mine", "newer"):
        (tmp_path / "all" / name / "states").mkdir(parents=True)
        (tmp_path / "all" / name / "states" / "state_1.pt").touch()
        (tmp_path / "all" / name / "options.json").touch()
    file = tmp_path / "my.toml"
    file.write_text(f'name = "mine"\nruns-path = "{tmp_path}/all"\nresume = true\n')
    assert to_resume(typed("train", {"config": str(file)}))[0].name == "mine"
    assert to_resume(typed("train", {"config": str(file), "name": "newer"}))[0].name == "newer"
    assert to_resume(typed("train", {"config": str(file), "resume": "false"})) is None


def test_wrong_files_are_told(tmp_path):
    assert "cannot be read" in problems_of("train", config=str(tmp_path / "none.toml"))[0]
    file = tmp_path / "my.toml"
    file.write_text("batch_size = = 3")
    assert "not valid TOML" in problems_of("train", config=str(file))[0]
    file.write_text("batchsize = 3\nbatch_size = 'x'")
    found = problems_of("train", config=str(file))
    assert "'batchsize' is not an option of train" in found[0]
    assert found[1].startswith(f"--batch-size ({file}): got 'x'")
    file.write_text("batch_size = 3\nbatch-size = 4")
    same = "'batch-size' and 'batch_size' are the same option; keep one"
    assert problems_of("train", config=str(file)) == (f"--config {file}: {same}",)
    file.write_text('name = ["a", "b"]\nenv = {a = 1}')
    found = problems_of("train", config=str(file))
    assert found[0].startswith(f"--name ({file}): got ['a', 'b']; it takes text")
    assert found[1].startswith(f"--env ({file}): got {{'a': 1}}; it takes text")


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    file = tmp_path / "my.toml"
    file.write_bytes(b"\xef\xbb\xbfbatch_size = 3\n")
    assert resolve("train", {"config": str(file)})[0].batch_size == 3


@pytest.mark.parametrize(
    ("name", "place"), [("save_path", "faces"), ("save_path", "faces/x"), ("runs_path", "link/x")]
)
def test_grids_are_not_written_among_the_training_pictures(tmp_path, name, place):
    (tmp_path / "faces").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "faces")
    (problem,) = problems_of(
        "train", data_path=f"{tmp_path}/faces", **{name: f"{tmp_path}/{place}"}
    )
    flag = "--" + name.replace("_", "-")
    assert problem.startswith(f"{flag} {tmp_path}/{place}: is inside --data-path")
    resolve("train", {"data_path": f"{tmp_path}/faces", name: f"{tmp_path}/faces2"})


@pytest.mark.parametrize(
    ("name", "value", "more"),
    [
        ("penalty_every", "4", {"r1": "1"}),
        ("schedule", "penalty=0.5", {"loss": "wgan-gp"}),
        ("inception_file", "x", {"extractor": "inception"}),
    ],
)
def test_what_does_nothing_is_refused_where_it_was_typed(name, value, more):
    (problem,) = problems_of("train", **{name: value})
    assert problem.startswith(f"--{name.replace('_', '-')} {value}: ")
    assert problem.endswith(", or leave it out")
    resolve("train", {name: value, **more})


def test_what_an_objective_brings_is_not_what_was_typed():
    resolve("train", {"loss": "r3gan", "r1": "0", "r2": "0"})  # it brings a schedule


@pytest.fixture
def saved(tmp_path):
    """A run of the defaults on the folder `faces`."""
    (tmp_path / "faces").mkdir()
    config, sources = resolve("train", {"data_path": str(tmp_path / "faces")})
    run = Run(tmp_path / "mine")
    run.write_options(dataclasses.asdict(config), sources)
    return run


def test_the_same_folder_under_another_name_is_no_change(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in ("faces", "faces/", "../" + tmp_path.name + "/faces"):
        refuse_changes(saved, *resolve("train", {"data_path": path}))
    (tmp_path / "more").mkdir()
    with pytest.raises(UsageError, match=r"^--data-path more: .* or add --allow-changes"):
        refuse_changes(saved, *resolve("train", {"data_path": "more"}))


def test_a_run_with_a_former_option_goes_on_only_at_its_default(saved, tmp_path):
    config, sources = resolve("train", {"data_path": str(tmp_path / "faces")})
    former = {"d_pixels": 0, "instance_noise": 0.0, "instance_noise_pictures": 1e6,
              "share_fakes": True, "eval_share": 0.1, "rollbacks": 3}  # fmt: skip
    saved.write_options({**dataclasses.asdict(config), **former}, sources)
    saved_options(saved)
    for other in ({"instance_noise": 0.1}, {"share_fakes": False}):
        saved.write_options({**dataclasses.asdict(config), **former, **other}, sources)
        with pytest.raises(UsageError) as caught:
            saved_options(saved)
        assert caught.value.flags == ("--resume",)


def test_other_shapes_are_refused_even_if_changes_are_allowed(saved, tmp_path):
    words = {"data_path": f"{tmp_path}/faces", "allow_changes": "true", "lr1": "1e-4", "ngf": "8"}
    with pytest.raises(UsageError) as caught:
        refuse_changes(saved, *resolve("train", words))
    assert caught.value.flags == ("--ngf",)


def test_shapes_are_those_of_the_nets():
    spec = {one.name for one in dataclasses.fields(Spec)}
    assert {option.name for option in OPTIONS.values() if option.shape} == spec - {
        "d_input",
        "classes",
        "condition",
    }  # what has no weights, labels


@pytest.mark.parametrize(
    ("command", "flags", "flag"),
    [
        ("train", {"channels": "2"}, "--channels"),
        ("train", {"augment": "colour"}, "--augment"),
        ("train", {"gpu": "true", "device": "cpu"}, "--gpu"),
        ("train", {"resume": "true", "netg_path": "main.py"}, "--resume"),
        ("train", {"resume": "main.py", "name": "a"}, "--name"),
        ("train", {"resume": "no/such"}, "--resume"),
        ("train", {"batch_size": "10", "accumulate": "3"}, "--accumulate"),
        ("train", {"on_collapse": "stop"}, "--on-collapse"),
        ("train", {"patience": "3"}, "--patience"),
        ("train", {"condition": "acgan"}, "--condition"),
        ("train", {"aux": "2"}, "--aux"),
        ("evaluate", {"netg_path": "x"}, "--against"),
        ("evaluate", {"against": "x"}, "--netg-path"),
        ("evaluate", {"against": "x", "netg_path": "x", "samples": "x"}, "--netg-path"),
        ("prepare", {"out": "x"}, "SRC"),
        ("prepare", {"src": "x"}, "--out"),
        ("doctor", {}, "DIR"),
        ("download", {}, "NAME"),
        ("generate", {"netg_path": "x", "netd_path": "x", "gen_num": "9999"}, "--gen-num"),
        ("generate", {"netg_path": "x", "gen_img": "out.txt"}, "--gen-img"),
    ],
)  # fmt: skip
def test_conflicts_are_told_by_flag(command, flags, flag):
    (problem,) = problems_of(command, **flags)
    assert problem.flag == flag


def test_the_specs_of_the_nets_are_options_of_the_nets():
    spec = {field.name for field in dataclasses.fields(Spec)} - {"classes", "condition"}
    assert {option.name for option in OPTIONS.values() if option.nets} == spec


def test_a_path_may_begin_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "faces").mkdir()
    file = tmp_path / "my.toml"
    file.write_text('runs-path = "~/runs"\nsave-path = "~"\n')
    config, _ = resolve("train", {"config": "~/my.toml", "data_path": "~/faces", "env": "~/x"})
    assert (config.data_path, config.runs_path, config.save_path) == (
        f"{tmp_path}/faces", f"{tmp_path}/runs", str(tmp_path))  # fmt: skip
    assert config.env == "~/x"  # no path


def test_every_option_that_names_a_file_or_folder_is_a_path():
    texts = {
        option.name
        for option in OPTIONS.values()
        if re.search(r"\b(folder|file|archive)s?\b", option.help) and str in option.kinds
    }
    paths = {option.name for option in OPTIONS.values() if option.path}
    assert texts - paths == {"name", "classes", "dataset"}


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "\x1b[2J", "a\tb"])
def test_control_characters_are_refused_in_a_line(text):
    for flags in ({"name": text}, {"env": text}, {"runs_path": text}, {"config": text}):
        with pytest.raises(UsageError) as caught:
            resolve("train", {"data_path": "data/", **flags})
        (line,) = caught.value.problems
        assert line.isprintable()
        assert line.flag == "--" + next(iter(flags)).replace("_", "-")


def test_a_random_seed_is_a_number_from_then_on(tmp_path):
    file = tmp_path / "my.toml"
    file.write_text('seed = "random"\n')
    flags = [{"seed": "random"}, {"config": str(file)}] * 2
    seeds = {resolve("train", {"data_path": "data/", **given})[0].seed for given in flags}
    assert len(seeds) == 4
    given = typed("train", {"seed": "random"})
    assert resolve("train", given)[0].seed == resolve("train", given)[0].seed


def test_a_layer_that_is_fixed_is_kept_or_the_flag_refused():
    start = Layer("cold.pth", {"nz": 7, "net": "dcgan"}, fixed=True)
    config, sources = resolve("train", {"nz": "7"}, start)
    assert (config.nz, config.net, sources["net"]) == (7, "dcgan", "cold.pth")
    with pytest.raises(UsageError) as caught:
        resolve("train", {"nz": "8", "net": "mlp"}, start)
    assert set(caught.value.flags) == {"--nz", "--net"}


def test_options_that_belong_to_a_call_affect_nothing():
    for option in OPTIONS.values():
        if option.scope == "call":
            assert option.may_change
            assert not option.quality
        if option.shape:
            assert not option.may_change


@pytest.mark.parametrize("text", ["a." * 50_000 + "b=1", f"image_size = {'9' * 5000}", "#" * 2**17])
def test_a_toml_file_that_takes_long_to_read_is_refused(tmp_path, text):
    (tmp_path / "o.toml").write_text(text)
    with pytest.raises(UsageError) as error:
        resolve("train", {"config": str(tmp_path / "o.toml")})
    assert "--config" in error.value.flags
