/** `npm run bench:soak -- [--minutes 10] [--out file.json]`: memory of the real gateway under mixed load, sampled after full collections. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { loadOf, startGateway, startMocks } from './bench.ts';
import { type Child, lineOf, startSource } from './child.ts';
import type { LoadResult } from './load.ts';
import { provenance } from './provenance.ts';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, out: { type: 'string' } } });
const seconds = Number(values.minutes) * 60;
/** Samples of the first third are the warm-up: code is compiled, caches fill. */
const WARM_UP_SHARE = 1 / 3;
/** Growth of the live heap that is no noise: 1 MiB a minute would be 1.4 GiB a day. */
const SLOPE_MAX_MIB = 1;
const MIB = 1024 * 1024;

interface Sample {
  readonly seconds: number;
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
}

const folder = mkdtempSync(path.join(tmpdir(), 'assay-bench-soak-'));
const memoryFile = path.join(folder, 'memory.jsonl');
const children: Child[] = [];
try {
  const mocks = await startMocks(children);
  const preload = path.join(import.meta.dirname, 'memory-report.mjs');
  const gateway = await startGateway(folder, mocks, children, ['--expose-gc', '--import', preload], {
    BENCH_MEMORY_FILE: memoryFile,
  });
  const requests = await loadAll(gateway.url);
  report(requests);
} finally {
  for (const child of children.reverse()) await child.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** Three kinds of requests side by side for the whole time. */
async function loadAll(url: string): Promise<number> {
  const mixed = [
    loadOf(url, 'plain', { mode: 'single' }),
    loadOf(url, 'plain', { mode: 'quorum', n: 3 }),
    loadOf(url, 'stream', { mode: 'quorum', n: 3 }),
  ];
  const counts = await Promise.all(
    mixed.map(async (load) => {
      const settings = { ...load, concurrency: 3, warmupSeconds: 0, seconds, keepsSamples: false };
      const generator = startSource('load-main.ts', [JSON.stringify(settings)]);
      children.push(generator);
      await lineOf(generator);
      await lineOf(generator);
      const { count, failures } = JSON.parse(await lineOf(generator)) as LoadResult;
      if (failures.length > 0) throw new Error(`a request of the soak failed: ${failures[0]}`);
      return count;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

function report(requests: number): void {
  const samples = readFileSync(memoryFile, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Sample);
  const steady = samples.filter((sample) => sample.seconds > WARM_UP_SHARE * seconds);
  const slopes = {
    heapMibPerMinute: slopeOf(steady, ({ heapUsed }) => heapUsed),
    externalMibPerMinute: slopeOf(steady, ({ external }) => external),
    rssMibPerMinute: slopeOf(steady, ({ rss }) => rss),
  };
  const databaseMib = statSync(path.join(folder, 'gateway/assay.sqlite')).size / MIB;
  const result = {
    ...provenance(),
    minutes: seconds / 60,
    requests,
    loadAverage: loadavg()[0],
    databaseMib,
    ...slopes,
    samples,
  };
  if (values.out) writeFileSync(values.out, `${JSON.stringify(result, null, 2)}\n`);
  console.log(`${result.date}, commit ${result.commit}, ${result.machine}, load ${result.loadAverage?.toFixed(1)}`);
  console.log(`${requests} requests in ${values.minutes} minutes; database ${databaseMib.toFixed(0)} MiB`);
  for (const [name, slope] of Object.entries(slopes)) console.log(`${name.padEnd(22)} ${slope.toFixed(2)}`);
  for (const at of [0, 0.25, 0.5, 0.75, 1]) {
    const sample = samples[Math.round(at * (samples.length - 1))]!;
    const mib = (bytes: number) => (bytes / MIB).toFixed(0);
    console.log(
      `after ${sample.seconds.toFixed(0)} s: RSS ${mib(sample.rss)} MiB, live heap ${mib(sample.heapUsed)} MiB`,
    );
  }
  process.exitCode = slopes.heapMibPerMinute <= SLOPE_MAX_MIB && slopes.externalMibPerMinute <= SLOPE_MAX_MIB ? 0 : 1;
}

/** Least squares, in MiB a minute. */
function slopeOf(samples: readonly Sample[], bytesOf: (sample: Sample) => number): number {
  const mean = (pick: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + pick(sample), 0) / samples.length;
  const [time, bytes] = [mean((sample) => sample.seconds), mean(bytesOf)];
  const over = mean((sample) => (sample.seconds - time) * (bytesOf(sample) - bytes));
  const under = mean((sample) => (sample.seconds - time) ** 2);
  return under === 0 ? 0 : ((over / under) * 60) / MIB;
}
