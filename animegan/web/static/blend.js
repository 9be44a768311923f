// The mixing pad: two to four faces in its corners, and a point between them.

import { byId, element, follower, picture } from "./page.js";
import { mixed } from "./lists.js";
import { mix } from "./recipe.js";
import { openFace } from "./face.js";

// by number of faces: their corners as [left, top], and their weights at a point x, y in 0..1
const CORNERS = { 2: [[0, 0.38], [0.76, 0.38]], 3: [[0, 0], [0.76, 0], [0.38, 0.76]], 4: [[0, 0], [0.76, 0], [0, 0.76], [0.76, 0.76]] };
const WEIGHTS = {
  2: (x) => [1 - x, x],
  3: (x, y) => [(1 - x) * (1 - y), x * (1 - y), y],
  4: (x, y) => [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y],
};
let x = 0.5, y = 0.5;
const follow = follower(byId("mix-picture"));

function result() {
  const weights = WEIGHTS[mixed.items.length](x, y);
  return mix(mixed.items.map((recipe, k) => [recipe, weights[k]]));
}

function move(toX, toY) {
  x = Math.min(1, Math.max(0, toX));
  y = Math.min(1, Math.max(0, toY));
  Object.assign(byId("point").style, { left: `${x * 100}%`, top: `${y * 100}%` });
  follow(result());
}

/** Show the faces to mix. */
export function showMix() {
  const enough = mixed.items.length >= 2;
  byId("mix-empty").hidden = enough;
  byId("mix-work").hidden = !enough;
  byId("pad").querySelectorAll("img").forEach((image) => image.remove());
  if (!enough) return;
  mixed.items.forEach((recipe, k) => {
    const image = picture(recipe), [left, top] = CORNERS[mixed.items.length][k];
    Object.assign(image.style, { left: `${left * 100}%`, top: `${top * 100}%` });
    byId("pad").prepend(image);
  });
  move(x, y);
}

function toPointer(event) {
  const box = byId("pad").getBoundingClientRect();
  move((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
}

byId("pad").onpointerdown = (event) => { byId("pad").setPointerCapture(event.pointerId); toPointer(event); };
byId("pad").onpointermove = (event) => { if (event.buttons) toPointer(event); };
byId("pad").onkeydown = (event) => {
  const step = { ArrowLeft: [-0.05, 0], ArrowRight: [0.05, 0], ArrowUp: [0, -0.05], ArrowDown: [0, 0.05] }[event.key];
  if (step) { move(x + step[0], y + step[1]); event.preventDefault(); }
};
byId("mix-open").onclick = () => openFace(result());
byId("mix-clear").onclick = () => mixed.set([]);
mixed.addEventListener("change", () => { if (!byId("mix").hidden) showMix(); });
