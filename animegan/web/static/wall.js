// The wall: the candidates of a seed by number, without end.

import { about, byId, element, labelMenus } from "./page.js";
import { tile } from "./tiles.js";
import { openFace } from "./face.js";

const PIECE = 24; // faces added at once
let next = 0;
let label;

function recipe(index) {
  const made = { seed: Number(byId("seed").value), index };
  const truncation = Number(byId("wall-truncation").value);
  if (truncation !== 1) made.truncation = truncation;
  if (label) made.label = label;
  return made;
}

function add() {
  byId("faces").append(...Array.from({ length: PIECE }, (_, k) => tile(recipe(next + k), String(next + k), openFace)));
  next += PIECE;
}

function restart() {
  if (!byId("wall-settings").reportValidity()) return;
  next = Number(byId("jump").value);
  byId("faces").replaceChildren();
  sentinel.unobserve(byId("more-faces"));
  sentinel.observe(byId("more-faces")); // it reports whether it is on the screen, and so fills it
}

const sentinel = new IntersectionObserver(([entry]) => {
  if (!entry.isIntersecting || byId("wall").hidden) return;
  add();
  sentinel.unobserve(entry.target);
  requestAnimationFrame(() => sentinel.observe(entry.target)); // again, if the screen is not full
}, { rootMargin: "600px" });

function newSeed() {
  byId("seed").value = crypto.getRandomValues(new Uint32Array(1))[0] % 1_000_000;
  byId("jump").value = 0;
  restart();
}

/** Write the wall's menus in the page's language. */
export function nameWall() {
  byId("wall-labels").replaceChildren(...labelMenus(label, (text) => { label = text; restart(); }));
}

/** Show the wall of the seed that the server starts with. */
export function startWall() {
  byId("seed").value = about.seed;
  byId("wall-settings").onsubmit = (event) => { event.preventDefault(); restart(); };
  for (const id of ["seed", "jump", "wall-truncation"]) byId(id).addEventListener("change", restart);
  byId("wall-truncation").oninput = ({ target }) => { byId("wall-truncation-value").value = target.value; };
  byId("dice").onclick = newSeed;
  nameWall();
  restart();
}
