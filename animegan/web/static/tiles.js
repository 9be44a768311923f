// Grids of faces: a click or Enter opens one, arrows move between them, letters put it on a list.

import { element, picture } from "./page.js";
import { favourites, mixed, walked } from "./lists.js";
import { nameOf } from "./recipe.js";
import { word } from "./words.js";

const LETTERS = { f: (recipe) => favourites.toggle(recipe), m: (recipe) => mixed.add(recipe), w: (recipe) => walked.add(recipe) };

/** Return a face to click on; `open` gets its recipe. */
export function tile(recipe, caption, open) {
  const button = element("button", { onclick: () => open(recipe) }, picture(recipe));
  button.setAttribute("aria-label", word("face", { name: nameOf(recipe) }));
  if (caption) button.append(element("span", {}, caption));
  const heart = element("button", { className: "like", tabIndex: -1, onclick: () => favourites.toggle(recipe) }, "♥");
  heart.setAttribute("aria-label", word("like"));
  const made = element("div", { className: "tile", recipe }, button, heart);
  mark(made);
  return made;
}

function mark(made) {
  made.querySelector(".like").setAttribute("aria-pressed", favourites.has(made.recipe));
}

favourites.addEventListener("change", () => document.querySelectorAll(".tile").forEach(mark));

document.addEventListener("keydown", (event) => {
  const here = event.target.closest?.(".tile");
  if (!here || event.ctrlKey || event.metaKey || event.altKey) return;
  const letter = LETTERS[event.key.toLowerCase()];
  if (letter) return letter(here.recipe);
  const all = [...here.parentElement.children], place = all.indexOf(here);
  const columns = all.filter((other) => other.offsetTop === all[0].offsetTop).length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  const next = step && all[place + step];
  if (next) { next.firstElementChild.focus(); event.preventDefault(); }
});
