// The same noise as animegan/generation/portable_noise.py, which describes it.

function mix(word) {
  word ^= word >>> 16;
  word = Math.imul(word, 0x21f0aaad);
  word ^= word >>> 15;
  word = Math.imul(word, 0x735a2d97);
  return (word ^ (word >>> 15)) >>> 0;
}

function noiseOf(seed, nz) {
  const start = mix(seed);
  const uniform = (k) => (mix(start ^ mix((k + 0x9e3779b9) >>> 0)) + 0.5) / 4294967296;
  const noise = new Float32Array(nz);
  for (let k = 0; k < nz; k += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniform(k)));
    const angle = 2 * Math.PI * uniform(k + 1);
    noise[k] = radius * Math.cos(angle);
    if (k + 1 < nz) noise[k + 1] = radius * Math.sin(angle);
  }
  return noise;
}
