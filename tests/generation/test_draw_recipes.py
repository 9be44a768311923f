"""Pictures of recipes: equal whatever is drawn with them, and the command's own."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from animegan.config.resolve import resolve
from animegan.core.errors import UsageError
from animegan.generation import generate
from animegan.generation.candidates import Noise
from animegan.generation.draw_recipes import BATCH, RecipeDrawer
from animegan.generation.recipes import Recipe, as_json, parse
from animegan.generation.request import request_of
from tests.support.recipes import save_netg

FACE: dict[str, Any] = {"seed": 7, "index": 12}
VALUES: list[dict[str, Any]] = [
    FACE,
    {"near": FACE, "distance": 0.4, "index": 3},
    {"mix": [[FACE, 1], [{"seed": 0, "index": 70}, 2]], "truncation": 0.5},
    {**FACE, "edit": {"direction 1": 3}},
    *({"seed": 1, "index": k} for k in range(BATCH)),
]
RECIPES = [parse(value, "recipe") for value in VALUES]


@pytest.fixture
def netg_path(tmp_path: Path) -> Path:
    return save_netg(tmp_path)


def run(**words: object) -> None:
    words = {"gpu": "false", **words}
    config = resolve("generate", {name: str(value) for name, value in words.items()})[0]
    generate.generate(config, request_of(config))


def test_a_picture_does_not_depend_on_what_is_drawn_with_it(netg_path: Path) -> None:
    drawer = RecipeDrawer(netg_path)
    pictures = drawer(RECIPES)
    assert pictures.shape == (len(RECIPES), 3, 16, 16)
    assert len({picture.numpy().tobytes() for picture in pictures}) == len(RECIPES)
    for k, recipe in enumerate(RECIPES):
        assert torch.equal(RecipeDrawer(netg_path)([recipe])[0], pictures[k])
    assert torch.equal(drawer(RECIPES[::-1]), pictures.flip(0))


def test_a_candidate_has_the_noise_of_its_number_and_truncation_scales_it(netg_path: Path) -> None:
    drawer = RecipeDrawer(netg_path)
    noise = Noise(7, 8)([12]).flatten()
    assert torch.equal(drawer.noise(RECIPES[0]), noise)
    assert torch.equal(drawer.noise(Recipe(RECIPES[0].base, 0.5)), noise * 0.5)
    edited = drawer.noise(RECIPES[3])
    assert edited.norm().item() == pytest.approx(noise.norm().item())
    assert not torch.allclose(edited, noise)


def test_noise_of_neighbours_and_mixtures_is_standard_normal(netg_path: Path) -> None:
    drawer = RecipeDrawer(netg_path)
    for make in (
        lambda face: {"near": face, "distance": 0.6, "index": 1},
        lambda face: {"mix": [[face, 1], [{"near": face, "distance": 0.3, "index": 0}, 1]]},
    ):
        faces = [parse(make({"seed": 0, "index": k}), "recipe") for k in range(500)]
        noise = torch.stack([drawer.noise(face) for face in faces])
        assert noise.std().item() == pytest.approx(1, abs=0.05)


def test_generate_draws_recipes_and_writes_them_into_the_manifest(
    tmp_path: Path, netg_path: Path
) -> None:
    file = tmp_path / "favourites.json"
    file.write_text(json.dumps(VALUES))
    each, grid = tmp_path / "each", tmp_path / "grid.png"
    run(netg_path=netg_path, recipes=file, gen_img=grid, save_each=each)
    pictures = RecipeDrawer(netg_path)(RECIPES)
    for k, picture in enumerate(pictures):
        with Image.open(each / f"{k:08d}.png") as image:
            assert image.tobytes() == picture.permute(1, 2, 0).contiguous().numpy().tobytes()
    manifest = json.loads((each / "manifest.json").read_text())
    assert [entry["recipe"] for entry in manifest["pictures"]] == [as_json(r) for r in RECIPES]
    assert grid.exists()
    run(netg_path=netg_path, recipes=json.dumps(VALUES[1]), gen_img=grid)


@pytest.mark.parametrize(
    "words",
    [{"indices": "1"}, {"seed": "3"}, {"label": "red"}, {"gen_std": "0.5"}, {"diverse": "true"}],
)
def test_what_recipes_say_themselves_is_not_said_beside_them(words: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        resolve("generate", {"recipes": json.dumps(FACE), **words})
    assert set(caught.value.flags) >= {"--" + next(iter(words)).replace("_", "-")}


@pytest.mark.parametrize("more", [{"edit": {"smile": 1}}, {"label": "red"}])
def test_what_the_generator_lacks_is_refused(
    netg_path: Path, tmp_path: Path, more: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        run(netg_path=netg_path, recipes=json.dumps({**FACE, **more}), gen_img=tmp_path / "a.png")


def test_labels_are_those_asked_for_or_those_of_the_candidate(tmp_path: Path) -> None:
    drawer = RecipeDrawer(save_netg(tmp_path, labelled=True))
    assert drawer.labels == {"hair": ("red", "blue")}
    with pytest.raises(UsageError):
        drawer.check(parse({**FACE, "label": "green"}, "recipe"), "recipe")
    red, blue, free = (
        drawer([parse({**FACE, **more}, "recipe")])[0]
        for more in ({"label": "red"}, {"label": "hair=blue"}, {})
    )
    assert not torch.equal(red, blue)
    assert torch.equal(free, red) or torch.equal(free, blue)
