// Lists of recipes that the browser keeps: favourites, the faces to mix, the key faces of a walk.

import { byId, say } from "./page.js";
import { keyOf } from "./recipe.js";
import { word } from "./words.js";

class List extends EventTarget {
  constructor(name, most) {
    super();
    Object.assign(this, { name, most, items: [] });
    this.read();
    addEventListener("storage", ({ key }) => { if (key === name) this.read(); }); // another tab
  }

  read() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.name) ?? "[]");
      this.items = Array.isArray(kept) ? kept.slice(0, this.most) : [];
    } catch { this.items = []; }
    this.tell();
  }

  set(items) {
    if (items.length > this.most) say(word("full", { n: this.most }));
    this.items = items.slice(0, this.most);
    try { localStorage.setItem(this.name, JSON.stringify(this.items)); } catch { /* kept until the page closes */ }
    this.tell();
  }

  tell() {
    byId(`${this.name}-count`).textContent = this.items.length || "";
    this.dispatchEvent(new Event("change"));
  }

  has(recipe) { return this.items.some((item) => keyOf(item) === keyOf(recipe)); }

  add(recipe) {
    if (this.items.length >= this.most) return say(word("full", { n: this.most }));
    this.set([...this.items, recipe]);
    say(word("notice", { what: word(this.name), n: this.items.length }));
  }

  remove(recipe) { this.set(this.items.filter((item) => keyOf(item) !== keyOf(recipe))); }

  toggle(recipe) { if (this.has(recipe)) this.remove(recipe); else this.add(recipe); }
}

export const favourites = new List("favourites", 1000);
export const mixed = new List("mix", 4);
export const walked = new List("walk", 24);
