// Favourites: kept by the browser, saved to and read from a file, drawn as a sheet.

import { about, ask, byId, save, saveRecipes, say, showCommand } from "./page.js";
import { favourites } from "./lists.js";
import { openFace } from "./face.js";
import { nameOf } from "./recipe.js";
import { tile } from "./tiles.js";
import { word } from "./words.js";

/** Show the favourites. */
export function showFavourites() {
  const { items } = favourites;
  byId("favourites-empty").hidden = items.length > 0;
  for (const id of ["save", "sheet", "command"]) byId(`favourites-${id}`).disabled = !items.length;
  byId("liked").replaceChildren(...items.map((recipe) => tile(recipe, nameOf(recipe), openFace)));
}

async function read(file) {
  try {
    if (file.size > 4e6) throw new Error("too large");
    const values = JSON.parse(await file.text());
    const recipes = (Array.isArray(values) ? values : [values]);
    await ask("command", { recipes: recipes.slice(0, about.mostOnSheet) }); // the server checks them
    favourites.set([...favourites.items, ...recipes.filter((recipe) => !favourites.has(recipe))]);
  } catch (error) {
    if (error instanceof SyntaxError || error.message === "too large") say(word("badFile"));
  }
}

byId("favourites-save").onclick = () => saveRecipes(favourites.items, "favourites.json");
byId("favourites-open").onclick = () => byId("favourites-file").click();
byId("favourites-file").onchange = ({ target }) => { if (target.files[0]) read(target.files[0]); target.value = ""; };
byId("favourites-command").onclick = () => showCommand(favourites.items.slice(0, about.mostFrames)).catch(() => {});
byId("favourites-sheet").onclick = async () => {
  try {
    const answer = await ask("sheet", { recipes: favourites.items.slice(0, about.mostOnSheet) });
    save(await answer.blob(), "sheet.png");
  } catch { /* told */ }
};
favourites.addEventListener("change", () => { if (!byId("favourites").hidden) showFavourites(); });
