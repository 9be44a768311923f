// Recipes as values: what a face is drawn from. The server checks them; see generation/recipes.py.

/** Return a recipe's part that others can be built on: without truncation, label and edit. */
export function baseOf(recipe) {
  const { truncation, label, edit, ...base } = recipe;
  return base;
}

/** Return the settings of a recipe that hold for the picture as a whole. */
export function settingsOf({ truncation, label, edit }) {
  return JSON.parse(JSON.stringify({ truncation, label, edit }));
}

/** Return neighbour `index` of a face, with the face's settings. */
export function near(recipe, distance, index) {
  return { near: baseOf(recipe), distance, index, ...settingsOf(recipe) };
}

const round = (number) => Math.round(number * 1e6) / 1e6;

/** Return the mixture of [recipe, weight] pairs; their settings are averaged, the label is of the heaviest. */
export function mix(pairs) {
  const used = pairs.filter(([, weight]) => weight > 1e-4);
  const total = used.reduce((sum, [, weight]) => sum + weight, 0);
  const heaviest = used.reduce((a, b) => (b[1] > a[1] ? b : a))[0];
  if (used.length === 1) return heaviest;
  const result = { mix: used.map(([recipe, weight]) => [baseOf(recipe), round(weight)]) };
  const truncation = used.reduce((sum, [recipe, w]) => sum + w * (recipe.truncation ?? 1), 0) / total;
  if (Math.abs(truncation - 1) > 1e-6) result.truncation = round(truncation);
  if (heaviest.label) result.label = heaviest.label;
  const edit = {};
  for (const [recipe, weight] of used) {
    for (const [name, strength] of Object.entries(recipe.edit ?? {})) {
      edit[name] = (edit[name] ?? 0) + (weight / total) * strength;
    }
  }
  for (const name of Object.keys(edit)) edit[name] = round(edit[name]);
  if (Object.keys(edit).length) result.edit = edit;
  return result;
}

/** Return the frames of a closed loop through key faces, `steps` from each to the next; it slows down at each. */
export function loop(keys, steps) {
  return keys.flatMap((key, k) => Array.from({ length: steps }, (_, step) => {
    const time = step / steps;
    const angle = (time * time * (3 - 2 * time) * Math.PI) / 2; // on the sphere where noise lies
    return mix([[key, Math.cos(angle)], [keys[(k + 1) % keys.length], Math.sin(angle)]]);
  }));
}

/** Return a short name to show: seed and number of a face, and what was done to it. */
export function nameOf(recipe) {
  if ("seed" in recipe) return `${recipe.seed} · ${recipe.index}`;
  if ("near" in recipe) return `${nameOf(recipe.near)} ≈ ${recipe.index + 1}`;
  return recipe.mix.map(([part]) => nameOf(part)).join(" + ");
}

/** Return a text that two recipes share only if they are the same face. */
export const keyOf = (recipe) => JSON.stringify(sorted(recipe));

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().filter((k) => value[k] !== undefined).map((k) => [k, sorted(value[k])]));
}
