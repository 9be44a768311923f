// The page: draws faces one after the other, so that it stays responsive, newest wish first.

const about = JSON.parse(document.getElementById("about").textContent);
const { nz, size, channels } = about;
const at = (id) => document.getElementById(id);
const PAGE = 24; // faces that "more" adds
const SEEDS = 2 ** 32;

async function part(name) {
  const inside = at(name);
  if (!inside) return new Uint8Array(await (await fetch(name)).arrayBuffer());
  const packed = Uint8Array.from(atob(inside.textContent), (letter) => letter.charCodeAt(0));
  inside.remove();
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

let ort, session;
async function load() {
  const [code, wasm, graph] = await Promise.all(
    [about.files.module, about.files.wasm, about.files.graph].map(part));
  ort = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasm.buffer;
  session = await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] });
}

// --- drawing

const chosenLabels = () => [...at("labels").querySelectorAll("select")].map((one) => +one.value);

async function draw(noise) {
  const feeds = { noise: new ort.Tensor("float32", noise, [1, nz]) };
  if (about.labels.length) {
    const labels = BigInt64Array.from(chosenLabels(), BigInt);
    feeds.labels = new ort.Tensor("int64", labels, [1, labels.length]);
  }
  const { pictures } = await session.run(feeds);
  return pictures.data; // uint8 [1, size, size, channels]
}

function show(canvas, pixels) {
  const image = new ImageData(size, size);
  for (let k = 0; k < size * size; k++) {
    for (let c = 0; c < 3; c++) image.data[4 * k + c] = pixels[channels * k + (c % channels)];
    image.data[4 * k + 3] = 255;
  }
  canvas.width = canvas.height = size;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const waiting = new Map(); // canvas -> function that returns its noise
let busy = false;
async function want(canvas, noise, first = false) {
  if (first) {
    const others = [...waiting];
    waiting.clear();
    waiting.set(canvas, noise);
    for (const [other, its] of others) if (other !== canvas) waiting.set(other, its);
  } else waiting.set(canvas, noise);
  if (busy || !session) return;
  busy = true;
  const start = performance.now();
  let count = 0;
  try {
    while (waiting.size) {
      const [next, its] = waiting.entries().next().value;
      waiting.delete(next);
      show(next, await draw(its()));
      count += 1;
      await new Promise((done) => setTimeout(done));
    }
    const each = (performance.now() - start) / count;
    at("state").textContent = `${each.toFixed(0)} ms a face. Choose two to go from one to the other.`;
    document.body.dataset.drawn = (+document.body.dataset.drawn || 0) + count;
  } catch (error) {
    waiting.clear();
    at("state").textContent = `This browser cannot draw: ${error.message}`;
  } finally {
    busy = false;
  }
}

const truncated = (noise) => noise.map((value) => value * at("truncation").value);

// --- the wall

let pair = [];

function add(seed) {
  const button = document.createElement("button");
  const canvas = document.createElement("canvas");
  button.append(canvas, String(seed));
  button.setAttribute("aria-label", `face of seed ${seed}`);
  button.dataset.seed = seed;
  button.onclick = () => choose(seed);
  at("wall").append(button);
  want(canvas, () => truncated(noiseOf(seed, nz)));
}

function more() {
  const last = at("wall").lastElementChild;
  const start = last ? +last.dataset.seed + 1 : +at("first").value;
  for (let k = 0; k < PAGE; k++) add((start + k) % SEEDS);
}

function again() {
  for (const canvas of at("wall").querySelectorAll("canvas")) {
    const seed = +canvas.parentElement.dataset.seed;
    want(canvas, () => truncated(noiseOf(seed, nz)));
  }
  if (pair.length) showPair();
}

function restart() {
  waiting.clear();
  at("wall").replaceChildren();
  more();
}

// --- between two faces

function spherical(one, other, share) {
  const norm = (noise) => Math.sqrt(noise.reduce((sum, value) => sum + value * value, 0));
  const norms = [norm(one), norm(other)];
  const dot = one.reduce((sum, value, k) => sum + value * other[k], 0) / (norms[0] * norms[1]);
  const angle = Math.min(Math.max(Math.acos(Math.min(1, Math.max(-1, dot))), 1e-4), Math.PI - 1e-4);
  const length = norms[0] + share * (norms[1] - norms[0]);
  const parts = [Math.sin((1 - share) * angle) / norms[0], Math.sin(share * angle) / norms[1]];
  return one.map((value, k) => (parts[0] * value + parts[1] * other[k]) / Math.sin(angle) * length);
}

function choose(seed) {
  pair = pair.length === 1 && pair[0] !== seed ? [pair[0], seed] : [seed];
  at("share").value = pair.length - 1;
  at("pair").hidden = false;
  for (const button of at("wall").children) {
    button.className = ["first", "second"][pair.indexOf(+button.dataset.seed)] ?? "";
  }
  showPair();
}

function showPair() {
  const [one, other] = pair;
  const share = other === undefined ? 0 : +at("share").value;
  at("share").disabled = other === undefined;
  const words = other === undefined ? `seed ${one}; choose a second` :
    `seed ${one} to ${other}: ${Math.round(100 * share)}%`;
  at("words").textContent = words;
  at("large").setAttribute("aria-label", words);
  want(at("large"), () => truncated(
    share ? spherical(noiseOf(one, nz), noiseOf(other, nz), share) : noiseOf(one, nz)), true);
}

function save() {
  at("large").toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${at("words").textContent.replace(/[^0-9a-z]+/g, "-")}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

// --- controls

for (const [name, values] of about.labels) {
  const label = document.createElement("label");
  const select = document.createElement("select");
  select.append(...["any", ...values].map((value, k) => new Option(value, k - 1)));
  select.onchange = again;
  label.append(name, select);
  at("labels").append(label);
}
at("truncation").oninput = again;
at("share").oninput = showPair;
at("more").onclick = more;
at("save").onclick = save;
at("close").onclick = () => { at("pair").hidden = true; };
at("first").onchange = () => {
  at("first").value = Math.min(SEEDS - 1, Math.max(0, Math.floor(+at("first").value || 0)));
  restart();
};
at("random").onclick = () => {
  at("first").value = Math.floor(Math.random() * SEEDS);
  restart();
};

more();
load().then(() => want(at("wall").firstElementChild.firstElementChild,
  () => truncated(noiseOf(+at("wall").firstElementChild.dataset.seed, nz)), true),
(error) => { at("state").textContent = `This browser cannot draw: ${error.message}`; });
