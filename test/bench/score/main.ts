/** `npm run bench:score -- [--rounds 5] [--tokens 96] [--out file.json]`: what a score costs beside a generation, and what evidence weighs. */
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { InferenceSession } from 'onnxruntime-node';
import { encodeEvidence, shortEvidence, type TokenEvidence } from '#protocol/evidence';
import { GREEDY, type Sampling } from '#protocol/sampling';
import { packShortEvidence } from '#protocol/short-evidence';
import type { Fetch } from '../../../gateway/round/provider-client.ts';
import type { Engine } from '../../../provider/engine/engine.ts';
import { loadMinnows, startHttpNetwork } from '../../fixtures/network-http.ts';
import { provenance } from '../gateway/provenance.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    tokens: { type: 'string', default: '96' },
    out: { type: 'string' },
  },
});
const ROUNDS = Number(values.rounds);
const TOKENS = Number(values.tokens);
const PROMPTS = [
  'Tell me about Japan.',
  'Write a short story about a fox.',
  'What is a lantern?',
  'Tell me about Kenya.',
];

interface Written {
  readonly promptIds: readonly number[];
  readonly outputIds: number[];
  readonly evidence: TokenEvidence[];
  readonly sampling: Sampling;
  readonly seed: bigint;
}

/** Never ends by itself, so that all answers have one length. */
function samplingOf(engine: Engine): Sampling {
  return { ...GREEDY, temperature: 1, logitBias: engine.info.eosIds.map((id) => [id, -100] as [number, number]) };
}

async function write(engine: Engine, text: string, seed: bigint): Promise<Written> {
  const promptIds = engine.text.encodePrompt(text);
  const sampling = samplingOf(engine);
  const outputIds: number[] = [];
  const evidence: TokenEvidence[] = [];
  for await (const token of engine.generate({ promptIds, sampling, seed, maxTokens: TOKENS })) {
    outputIds.push(token.id);
    evidence.push(token.evidence);
  }
  return { promptIds, outputIds, evidence, sampling, seed };
}

/** Processor time in milliseconds: what else the machine does lengthens a wall clock, and hardly this. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = cpuMs();
  await work();
  return cpuMs() - from;
}

/** Spent in the runtime since it was last read: one run at a time, and hardly anything beside it. */
let inRunsMs = 0;

/** What a score saves is everything but its run: how much that is says what can be saved at all. */
function watchRuns(): void {
  const { prototype } = InferenceSession as unknown as { prototype: { run(...args: unknown[]): Promise<unknown> } };
  const { run } = prototype;
  prototype.run = async function (...args: unknown[]) {
    const from = cpuMs();
    try {
      return await run.apply(this, args);
    } finally {
      inRunsMs += cpuMs() - from;
    }
  };
}

const median = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
const rounded = (value: number) => Math.round(value * 1000) / 1000;

/** Processor milliseconds a token, of one job and of four at once. */
async function engineCosts(engine: Engine) {
  const written = await Promise.all(PROMPTS.map((text, at) => write(engine, text, BigInt(at))));
  const score = (each: Written) => engine.score(each);
  const tasks = {
    generateAlone: () => write(engine, PROMPTS[0]!, 0n),
    scoreAlone: () => score(written[0]!),
    generateFour: () => Promise.all(PROMPTS.map((text, at) => write(engine, text, BigInt(at)))),
    scoreFour: () => Promise.all(written.map(score)),
    scoreFourInTurn: async () => {
      for (const each of written) await score(each);
    },
  };
  const spent = new Map<string, number[]>(Object.keys(tasks).map((name) => [name, []]));
  const inRuns = new Map<string, number[]>(Object.keys(tasks).map((name) => [name, []]));
  // In turns inside a round, so that what else the machine does hits all of them; the first round only warms up.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, task] of Object.entries(tasks)) {
      inRunsMs = 0;
      const ms = await timed(task);
      const tokens = name.endsWith('Alone') ? TOKENS : TOKENS * PROMPTS.length;
      if (round === 0) continue;
      spent.get(name)!.push(ms / tokens);
      inRuns.get(name)!.push(inRunsMs / tokens);
    }
  }
  const perToken = Object.fromEntries([...spent].map(([name, list]) => [name, median(list)]));
  const runsPerToken = Object.fromEntries([...inRuns].map(([name, list]) => [name, median(list)]));
  const { generateAlone, scoreAlone, generateFour, scoreFour, scoreFourInTurn } = perToken;
  return {
    cpuMsPerToken: Object.fromEntries(Object.entries(perToken).map(([name, ms]) => [name, rounded(ms)])),
    cpuMsPerTokenInRuns: Object.fromEntries(Object.entries(runsPerToken).map(([name, ms]) => [name, rounded(ms)])),
    scoreOverGenerate: {
      alone: rounded(scoreAlone! / generateAlone!),
      fourAtOnce: rounded(scoreFour! / generateFour!),
      /** The least that a score could cost there, if everything but its run were free. */
      runOfFourAtOnce: rounded(runsPerToken.scoreFour! / generateFour!),
    },
    sharedOverInTurn: rounded(scoreFour! / scoreFourInTurn!),
    written: written[0]!,
  };
}

/** Bytes a token beside the tokens themselves. */
function bytesOf({ evidence, sampling, seed, outputIds }: Written) {
  const perToken = (bytes: number) => rounded(bytes / outputIds.length);
  const json = (value: unknown) => Buffer.byteLength(JSON.stringify(value));
  const short = evidence.map((item, position) =>
    shortEvidence(item, { temperature: sampling.temperature, seed, position }),
  );
  return {
    tokensInReveal: perToken(json(outputIds)),
    shortEvidenceInReveal: perToken(json(packShortEvidence(short))),
    evidenceCommitted: perToken(evidence.reduce((sum, item, at) => sum + encodeEvidence(at, item).length, 0)),
    evidenceInScoreReply: perToken(json(evidence)),
  };
}

/** The same through the gateway, over sockets: all members, the referee and the gateway are this process. */
async function gatewayCosts() {
  const minnows = await loadMinnows();
  const sent = { jobs: 0, scores: 0 };
  const counting =
    (fetch: Fetch): Fetch =>
    async (url, init) => {
      const response = await fetch(url, init);
      if (new URL(url).pathname === '/v1/scores') sent.scores++;
      else if (new URL(url).pathname === '/v1/jobs') sent.jobs++;
      return response;
    };
  const network = await startHttpNetwork(minnows, { fetch: counting });
  const bias = Object.fromEntries(minnows.honest.info.eosIds.map((id) => [id, -100]));
  const ask = (verification: string, at: number) =>
    network.ask({
      messages: [{ role: 'user', content: PROMPTS[at % PROMPTS.length] }],
      ...{ max_tokens: TOKENS, temperature: 1, seed: at, logit_bias: bias, verification },
    });
  const modes = ['single', 'witnessed; n=2', 'witnessed; n=3', 'quorum; n=2', 'quorum; n=3'];
  const spent = new Map<string, number[]>(modes.map((mode) => [mode, []]));
  try {
    for (let round = 0; round <= ROUNDS; round++) {
      for (const mode of modes) {
        const ms = await timed(() => ask(mode, round));
        if (round > 0) spent.get(mode)!.push(ms / TOKENS);
      }
    }
  } finally {
    await network.gateway.settled();
    await network.stop();
    await minnows.close();
  }
  const perToken = Object.fromEntries([...spent].map(([mode, list]) => [mode, median(list)]));
  const [single, two, three] = [perToken.single!, perToken['witnessed; n=2']!, perToken['witnessed; n=3']!];
  return {
    cpuMsPerToken: Object.fromEntries(Object.entries(perToken).map(([mode, ms]) => [mode, rounded(ms)])),
    /** What a witness more costs, over what an answer of one seat does. */
    witnessOverSingle: {
      first: rounded((two - single) / single),
      second: rounded((three - two) / single),
      mean: rounded((three - single) / (2 * single)),
    },
    calls: sent,
  };
}

const before = loadavg()[0]!;
watchRuns();
const minnows = await loadMinnows();
const { written, ...engine } = await engineCosts(minnows.honest);
await minnows.close();
const result = {
  ...provenance(),
  model: 'minnow-5m',
  rounds: ROUNDS,
  tokens: TOKENS,
  promptTokens: written.promptIds.length,
  engine,
  bytesPerToken: bytesOf(written),
  gateway: await gatewayCosts(),
  load: { before: rounded(before), after: rounded(loadavg()[0]!) },
};
const text = `${JSON.stringify(result, null, 2)}\n`;
process.stdout.write(text);
if (values.out !== undefined) writeFileSync(values.out, text);
