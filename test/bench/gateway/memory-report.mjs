/**
 * Preloaded into a gateway whose memory is watched: a line of JSON a few seconds apart, after a full collection, into the file that
 * BENCH_MEMORY_FILE names. Needs --expose-gc.
 */
import { appendFileSync } from 'node:fs';

const INTERVAL_MS = 5_000;
const startedAt = performance.now();
setInterval(() => {
  globalThis.gc();
  const { rss, heapUsed, external } = process.memoryUsage();
  const line = { seconds: (performance.now() - startedAt) / 1000, rss, heapUsed, external };
  appendFileSync(process.env.BENCH_MEMORY_FILE, `${JSON.stringify(line)}\n`);
}, INTERVAL_MS).unref();
