// The walk: a closed loop through key faces, played here and saved as a moving picture.

import { about, addressOf, ask, byId, element, picture, save, saveRecipes, say, showCommand } from "./page.js";
import { walked } from "./lists.js";
import { loop, nameOf } from "./recipe.js";
import { word } from "./words.js";

const FPS = 24;
const AT_ONCE = 4; // frames that are asked for at a time
let playing = null; // of the walk that is played: its frames as images, and whether it goes on

function frames() {
  const most = Math.floor(about.mostFrames / walked.items.length);
  return loop(walked.items, Math.min(most, Number(byId("pace").value)));
}

function stop() {
  if (playing) playing.wanted = false;
  playing = null;
  byId("walk-play").textContent = word("play");
}

async function load(walk, recipes) {
  const fetchNext = async () => {
    while (walk.wanted && walk.asked < recipes.length) {
      const place = walk.asked++;
      const image = new Image();
      image.src = addressOf(recipes[place]);
      try { await image.decode(); } catch {
        if (walk.wanted) { stop(); ask(image.src).catch(() => {}); }
        return;
      }
      walk.images[place] = image;
      byId("walk-progress").value = walk.images.filter(Boolean).length / recipes.length;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, fetchNext));
}

function play() {
  if (playing) return stop();
  const recipes = frames();
  const walk = { images: [], asked: 0, wanted: true };
  playing = walk;
  byId("walk-play").textContent = word("pause");
  load(walk, recipes);
  let place = 0, last = 0;
  const tick = (time) => {
    if (!walk.wanted) return;
    if (time - last >= 1000 / FPS && walk.images[place]) {
      byId("walk-picture").src = walk.images[place].src; // from the browser's cache
      place = (place + 1) % recipes.length;
      last = time;
    }
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

async function saveMoving(kind) {
  say(word("saving"));
  const buttons = [byId("walk-webp"), byId("walk-gif")];
  buttons.forEach((button) => { button.disabled = true; });
  try {
    const answer = await ask("animation", { recipes: frames(), kind, fps: FPS });
    save(await answer.blob(), `walk.${kind}`);
  } catch { /* told */ } finally {
    buttons.forEach((button) => { button.disabled = false; });
  }
}

function moved(from, to) {
  const items = [...walked.items];
  items.splice(to, 0, ...items.splice(from, 1));
  walked.set(items);
}

/** Show the key faces. */
export function showWalk() {
  stop();
  const { items } = walked;
  byId("walk-empty").hidden = items.length >= 2;
  byId("walk-work").hidden = items.length < 2;
  byId("walk-progress").value = 0;
  byId("keys").replaceChildren(...items.map((recipe, k) => {
    const buttons = [["◀", k - 1], ["✕", null], ["▶", k + 1]].map(([sign, to]) => {
      const button = element("button", { onclick: () => (to === null ? walked.set(items.filter((_, j) => j !== k)) : moved(k, to)),
        disabled: to !== null && !items[to] }, sign);
      button.setAttribute("aria-label", `${sign === "✕" ? word("remove") : sign} ${nameOf(recipe)}`);
      return button;
    });
    return element("figure", {}, picture(recipe), element("figcaption", {}, ...buttons));
  }));
  if (items.length >= 2) byId("walk-picture").src = addressOf(items[0]);
}

byId("walk-play").onclick = play;
byId("pace").oninput = ({ target }) => { byId("pace-value").value = target.value; };
byId("pace").onchange = showWalk;
byId("walk-webp").onclick = () => saveMoving("webp");
byId("walk-gif").onclick = () => saveMoving("gif");
byId("walk-command").onclick = () => showCommand(frames()).catch(() => {});
byId("walk-clear").onclick = () => walked.set([]);
walked.addEventListener("change", () => { if (!byId("walk").hidden) showWalk(); });
