// One face, large: its neighbours, its sliders, and a history that can be undone.

import { about, addressOf, byId, element, follower, labelMenus, picture, showCommand } from "./page.js";
import { favourites, mixed, walked } from "./lists.js";
import { baseOf, keyOf, nameOf, near } from "./recipe.js";
import { tile } from "./tiles.js";
import { word } from "./words.js";

const NEIGHBOURS = 12;
const STRONG = 6; // of a direction, at the ends of its slider
const MOST_UNDONE = 200;

let now, history = [], undone = [], firstNeighbour = 0;
const follow = follower(byId("face-picture"));

/** Open a face in the dialog. */
export function openFace(recipe) {
  if (!byId("face").open) { history = []; undone = []; byId("preview").hidden = true; byId("face").showModal(); }
  change(recipe);
}

/** Write the dialog's words in the page's language. */
export function nameFace() { if (now) display(); }

function change(recipe) {
  if (now && byId("face").open && keyOf(now) !== keyOf(recipe)) {
    history = [...history.slice(-MOST_UNDONE), now];
    undone = [];
  }
  const sameBase = now && keyOf(baseOf(now)) === keyOf(baseOf(recipe));
  now = recipe;
  if (!sameBase) firstNeighbour = 0;
  display();
}

function step(from, to) {
  if (!from.length) return;
  to.push(now);
  now = from.pop();
  display();
}

function display() {
  follow(now);
  byId("face-title").textContent = nameOf(now);
  byId("face-undo").disabled = !history.length;
  byId("face-redo").disabled = !undone.length;
  byId("face-save").href = addressOf(now);
  byId("face-save").download = `${nameOf(now).replace(/[^\w]+/g, "-").slice(0, 60)}.png`;
  markLiked();
  setSlider("face-truncation", now.truncation ?? 1);
  byId("face-directions").replaceChildren(...about.directions.map(directionSlider));
  byId("face-labels").replaceChildren(...labelMenus(now.label, (label) => change({ ...now, label })));
  displayNeighbours();
}

function displayNeighbours() {
  const distance = Number(byId("distance").value);
  byId("neighbours").replaceChildren(...Array.from({ length: NEIGHBOURS }, (_, k) =>
    tile(near(now, distance, firstNeighbour + k), "", openFace)));
}

function markLiked() {
  const liked = favourites.has(now);
  byId("face-like").setAttribute("aria-pressed", liked);
  byId("face-like").textContent = word(liked ? "unlike" : "like");
}

function setSlider(id, value) {
  byId(id).value = value;
  byId(id).nextElementSibling.value = value;
}

/** Return a recipe with another strength of a direction. */
function edited(recipe, name, strength) {
  const edit = { ...recipe.edit, [name]: strength };
  if (!strength) delete edit[name];
  const { edit: _, ...rest } = recipe;
  return Object.keys(edit).length ? { ...rest, edit } : rest;
}

function directionSlider(name) {
  const value = now.edit?.[name] ?? 0;
  const output = element("output", { value: String(value) });
  const input = element("input", { type: "range", min: -STRONG, max: STRONG, step: 0.5, value,
    onfocus: () => preview(name),
    oninput: () => { output.value = input.value; follow(edited(now, name, Number(input.value))); },
    onchange: () => { change(edited(now, name, Number(input.value))); focusSlider(name); } });
  input.dataset.direction = name;
  return element("label", { className: "slider" }, element("span", {}, name), input, output);
}

function focusSlider(name) {
  const again = [...byId("face-directions").querySelectorAll("input")].find((input) => input.dataset.direction === name);
  again?.focus();
}

/** Show what a direction does to this face, in three pictures. */
function preview(name) {
  const ends = [["less", -STRONG * 2 / 3], ["now", now.edit?.[name] ?? 0], ["moreOf", STRONG * 2 / 3]];
  byId("preview").replaceChildren(...ends.map(([caption, strength]) =>
    element("figure", {}, picture(edited(now, name, strength)), element("figcaption", {}, word(caption)))));
  byId("preview").hidden = false;
}

byId("face-close").onclick = () => byId("face").close();
byId("face").addEventListener("close", () => { byId("neighbours").replaceChildren(); now = undefined; });
byId("face").addEventListener("click", (event) => { if (event.target === byId("face")) byId("face").close(); });
byId("face-undo").onclick = () => step(history, undone);
byId("face-redo").onclick = () => step(undone, history);
byId("face-like").onclick = () => favourites.toggle(now);
byId("face-mix").onclick = () => mixed.add(now);
byId("face-walk").onclick = () => walked.add(now);
byId("face-command").onclick = () => showCommand([now]).catch(() => {});
byId("face-pixels").onclick = () => {
  const pixels = byId("face-picture").classList.toggle("pixels");
  byId("face-pixels").setAttribute("aria-pressed", pixels);
};
byId("face-reset").onclick = () => { const { edit, truncation, label, ...base } = now; change(base); };
byId("face-truncation").oninput = ({ target }) => { setSlider("face-truncation", target.value); follow({ ...now, truncation: Number(target.value) }); };
byId("face-truncation").onchange = ({ target }) => change({ ...now, truncation: Number(target.value) });
byId("distance").oninput = ({ target }) => { byId("distance-value").value = target.value; };
byId("distance").onchange = displayNeighbours;
byId("others").onclick = () => { firstNeighbour += NEIGHBOURS; displayNeighbours(); };
favourites.addEventListener("change", () => { if (now) markLiked(); });

document.addEventListener("keydown", (event) => {
  if (!byId("face").open || !(event.ctrlKey || event.metaKey)) return;
  const key = event.key.toLowerCase();
  if (key === "z" && !event.shiftKey) step(history, undone);
  else if (key === "y" || key === "z") step(undone, history);
  else return;
  event.preventDefault();
});
