/** Feeds mutated input to every parser of the wire and counts what becomes of it. */

import { utf8 } from '#protocol/hash';
import { FastRng } from './fast-rng.ts';
import { gatewayTargets } from './gateway-targets.ts';
import { mutated } from './mutate.ts';
import { providerTargets } from './provider-targets.ts';
import { record } from './recorded.ts';
import type { Target } from './target.ts';
import { verifierTargets } from './verifier-targets.ts';

export interface Count {
  accepted: number;
  rejected: number;
  /** Longest of one input, in milliseconds of wall time. */
  slowestMs: number;
}

export interface Broken {
  readonly target: string;
  readonly input: number;
  readonly problem: string;
  /** The input, for a replay. */
  readonly base64: string;
}

export interface FuzzResult {
  readonly inputs: number;
  readonly counts: Readonly<Record<string, Count>>;
  readonly broken: readonly Broken[];
  /** MiB after a collection: when a tenth of the inputs was through, and then at every further tenth. */
  readonly heapMib: readonly number[];
}

export interface FuzzOptions {
  readonly inputs: number;
  readonly seed: string;
  /** Part of a target's name; all targets when absent. */
  readonly only?: string | undefined;
  readonly progress?: (done: number, heapMib: number) => void;
}

/** An input that takes longer has found a loop; the largest honest one takes a few milliseconds. */
const HANG_MS = 20_000;
const TENTHS = 10;
const TURN_EVERY = 16;
const BROKEN_MAX = 50;
const MIB = 1024 * 1024;

export async function fuzz({ inputs, seed, only, progress }: FuzzOptions): Promise<FuzzResult> {
  const recorded = await record();
  const providers = await providerTargets(recorded);
  const gateways = await gatewayTargets(recorded);
  const all = [...gateways.list, ...providers.list, ...verifierTargets(recorded)];
  const targets = all.filter(({ name }) => only === undefined || name.includes(only));
  const turns = targets.flatMap((target) => Array.from({ length: target.weight ?? 1 }, () => target));
  const rng = new FastRng(`fuzz ${seed}`);
  const counts: Record<string, Count> = {};
  for (const { name } of targets) counts[name] = { accepted: 0, rejected: 0, slowestMs: 0 };
  const broken: Broken[] = [];
  const heapMib: number[] = [];
  for (let i = 0; i < inputs && broken.length < BROKEN_MAX; i++) {
    const target = turns[i % turns.length]!;
    const { accepted, rejected } = counts[target.name]!;
    // Every sample once as it is: a target must be seen to accept something.
    const sample = target.samples[accepted + rejected];
    const input = sample ? utf8(sample.text) : mutated(target.samples, rng);
    const problem = await judge(target, input, counts[target.name]!);
    if (problem !== null) {
      broken.push({ target: target.name, input: i, problem, base64: Buffer.from(input).toString('base64') });
    }
    // What weak references hold is let go between turns of the event loop only.
    if (i % TURN_EVERY === 0) await nextTurn();
    if ((i + 1) % Math.ceil(inputs / TENTHS) !== 0) continue;
    heapMib.push(await heapInMib());
    progress?.(i + 1, heapMib.at(-1)!);
  }
  await providers.close();
  await gateways.close();
  await recorded.run.close();
  return { inputs, counts, broken, heapMib };
}

/** @returns what was broken, or null */
async function judge(target: Target, input: Uint8Array, count: Count): Promise<string | null> {
  const startedAt = performance.now();
  let timer: NodeJS.Timeout | undefined;
  try {
    const fate = target.run(input);
    // Most parsers answer at once; only who waits can hang.
    const hanging = () =>
      new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error('hangs')), HANG_MS);
      });
    count[fate instanceof Promise ? await Promise.race([fate, hanging()]) : fate]++;
    return null;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } finally {
    clearTimeout(timer);
    count.slowestMs = Math.max(count.slowestMs, Math.round(performance.now() - startedAt));
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function heapInMib(): Promise<number> {
  const { gc } = globalThis as { gc?: () => void };
  // Twice: finalizers of the first collection run in the turn after it.
  for (let times = 0; times < 2; times++) {
    gc?.();
    await nextTurn();
  }
  return Number((process.memoryUsage().heapUsed / MIB).toFixed(1));
}
