// Pieces of the page that its parts share: elements, messages, pictures, requests.

import { word } from "./words.js";
import { keyOf, nameOf } from "./recipe.js";

/** What the server says about the generator; filled in by app.js before anything is shown. */
export const about = {};

export const byId = (id) => document.getElementById(id);

/** Return an element with properties and children. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

let hiding;

/** Show one line for a few seconds, above dialogs too. */
export function say(text) {
  const line = byId("status");
  line.textContent = text;
  if (line.matches(":popover-open")) line.hidePopover(); // the newest is on top
  line.showPopover();
  clearTimeout(hiding);
  hiding = setTimeout(() => line.hidePopover(), 6000);
}

/** Ask the server; tell and throw what goes wrong. */
export async function ask(address, message) {
  let answer;
  try {
    const how = message && { method: "POST", body: JSON.stringify(message) };
    answer = await fetch(address, how);
  } catch {
    say(word("stopped"));
    throw new Error("stopped");
  }
  if (answer.ok) return answer;
  const why = (await answer.text()).trim();
  say(word("failed", { why }));
  throw new Error(why);
}

/** Return the address of a face's picture. */
export function addressOf(recipe) {
  return `face?g=${about.fingerprint}&recipe=${encodeURIComponent(keyOf(recipe))}`;
}

/** Make an image show a recipe now, and say so if it cannot be drawn. */
export function show(image, recipe) {
  image.src = addressOf(recipe);
  image.alt = word("face", { name: nameOf(recipe) });
  image.onerror = () => image.getAttribute("src") && ask(image.src).catch(() => {});
}

/** Return a function that makes an image follow recipes that change quickly, drawing only the newest. */
export function follower(image) {
  let newest = null, loading = false;
  const next = () => {
    loading = newest !== null;
    if (loading) { show(image, newest); newest = null; }
  };
  image.addEventListener("load", next);
  image.addEventListener("error", next);
  return (recipe) => { newest = recipe; if (!loading) next(); };
}

/** Draw images only while they are near the screen; give up those that scroll away unfinished. */
export const lazily = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting && !target.getAttribute("src")) show(target, target.recipe);
    else if (!isIntersecting && target.getAttribute("src") && !target.complete) target.removeAttribute("src");
  }
}, { rootMargin: "300px" });

/** Return an image that is drawn when it comes near the screen. */
export function picture(recipe) {
  const image = element("img", { recipe, alt: word("face", { name: nameOf(recipe) }) });
  lazily.observe(image);
  return image;
}

/** Save a blob or an address as a file. */
export function save(content, name) {
  const address = content instanceof Blob ? URL.createObjectURL(content) : content;
  const link = element("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  if (content instanceof Blob) setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Save recipes as the file that generate --recipes reads. */
export function saveRecipes(recipes, name) {
  save(new Blob([JSON.stringify(recipes, null, 1)], { type: "application/json" }), name);
}

/** Show the command line that draws recipes again. */
export async function showCommand(recipes) {
  const { line, file, there } = await (await ask("command", { recipes })).json();
  byId("line-text").textContent = line;
  byId("line-note").textContent = [file && word("needsFile"), !there && word("gone")].filter(Boolean).join(" ");
  if (file) saveRecipes(recipes, "recipes.json");
  byId("line").showModal();
}

/** Return a menu for each label, set to a recipe's; `changed` gets the text of the labels, or undefined. */
export function labelMenus(label, changed) {
  const chosen = new Map((label ?? "").split(",").filter(Boolean).map((pair) => pair.split("=")));
  return Object.entries(about.labels).map(([name, values]) => {
    const menu = element("select", { onchange: () => {
      if (menu.value) chosen.set(name, menu.value); else chosen.delete(name);
      changed([...chosen].map((pair) => pair.join("=")).join(",") || undefined);
    } }, element("option", { value: "" }, word("asTrained")), ...values.map((value) => element("option", { value }, value)));
    menu.value = chosen.get(name) ?? "";
    return element("label", {}, `${name} `, menu);
  });
}
