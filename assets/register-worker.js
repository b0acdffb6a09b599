// Solves an ALTCHA challenge beside the page: the number whose SHA-256, after the salt, is the one given. A function of our
// own, since browsers have theirs on https alone, and calling it for each number takes longer.
"use strict";

const K = new Uint32Array(64), START = new Uint32Array(8);
for (let n = 2, found = 0; found < 64; n++) {
  let prime = true;
  for (let d = 2; d * d <= n; d++) if (n % d === 0) { prime = false; break; }
  if (!prime) continue;
  const part = (root) => ((root - Math.floor(root)) * 0x100000000) | 0;
  if (found < 8) START[found] = part(Math.sqrt(n));
  K[found++] = part(Math.cbrt(n));
}

const w = new Uint32Array(64), state = new Uint32Array(8);

function block(bytes, at) {
  for (let i = 0, j = at; i < 16; i++, j += 4) w[i] = (bytes[j] << 24) | (bytes[j + 1] << 16) | (bytes[j + 2] << 8) | bytes[j + 3];
  for (let i = 16; i < 64; i++) {
    const a = w[i - 15], b = w[i - 2];
    const s0 = ((a >>> 7) | (a << 25)) ^ ((a >>> 18) | (a << 14)) ^ (a >>> 3);
    const s1 = ((b >>> 17) | (b << 15)) ^ ((b >>> 19) | (b << 13)) ^ (b >>> 10);
    w[i] = w[i - 16] + s0 + w[i - 7] + s1;
  }
  let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + t1) | 0; d = c; c = b; b = a; a = (t1 + t2) | 0;
  }
  state[0] += a; state[1] += b; state[2] += c; state[3] += d; state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}

function digests(text, bytes) {
  const length = text.length;
  bytes.fill(0);
  for (let i = 0; i < length; i++) bytes[i] = text.charCodeAt(i);
  bytes[length] = 0x80;
  const blocks = (length + 72) >> 6, bits = length * 8, end = blocks * 64;
  bytes[end - 4] = bits >>> 24; bytes[end - 3] = bits >>> 16; bytes[end - 2] = bits >>> 8; bytes[end - 1] = bits;
  state.set(START);
  for (let i = 0; i < blocks; i++) block(bytes, i * 64);
}

onmessage = ({ data: { salt, challenge, maxnumber } }) => {
  const wanted = Array.from({ length: 8 }, (_, i) => parseInt(challenge.slice(8 * i, 8 * i + 8), 16) >>> 0);
  const bytes = new Uint8Array((((salt.length + 20 + 72) >> 6) + 1) * 64);
  for (let number = 0; number <= maxnumber; number++) {
    digests(salt + number, bytes);
    if (state[0] === wanted[0] && wanted.every((word, i) => word === state[i])) {
      postMessage({ share: 100, number });
      return;
    }
    if (number % 5000 === 0) postMessage({ share: Math.floor((99 * number) / maxnumber) });
  }
  postMessage({ share: 100 });
};
