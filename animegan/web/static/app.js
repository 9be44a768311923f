// Starts the page: asks about the generator, then shows one view at a time.

import { about, ask, byId, say } from "./page.js";
import { nameFace } from "./face.js";
import { nameWall, startWall } from "./wall.js";
import { showFavourites } from "./liked.js";
import { showMix } from "./blend.js";
import { showWalk } from "./walk.js";
import { switchLanguage, translate, word } from "./words.js";

const VIEWS = { wall: () => {}, mix: showMix, walk: showWalk, favourites: showFavourites };

function view(name) {
  for (const other of Object.keys(VIEWS)) byId(other).hidden = other !== name;
  for (const button of document.querySelectorAll("nav button")) {
    if (button.dataset.view === name) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
  VIEWS[name]();
}

function nameGenerator() {
  byId("generator").textContent = [about.name, `${about.imageSize} px`, about.step === null ? "" : word("step", { n: about.step })].filter(Boolean).join(" · ");
}

for (const button of document.querySelectorAll("nav button")) button.onclick = () => view(button.dataset.view);
byId("language").onclick = () => { switchLanguage(); nameWall(); nameFace(); nameGenerator(); };
byId("line-close").onclick = () => byId("line").close();
byId("line-copy").onclick = async () => {
  await navigator.clipboard.writeText(byId("line-text").textContent);
  say(word("copied"));
};

translate();
Object.assign(about, await (await ask("about")).json());
nameGenerator();
startWall();
