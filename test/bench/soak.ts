/** Many mixed requests to a real network of processes: an honest network must show no fault at all (issue 2, section C). */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Agent, fetch } from 'undici';
import type { LogKeys } from '#protocol/log';
import { parseSavedResponse } from '#protocol/verify-saved';
import { MODEL, type Network, rssMib, startDemo } from '../contract/program.ts';
import { type Answer, type Checker, createChecker } from './soak-check.ts';
import { checkMoney } from './soak-money.ts';
import { type SoakRequest, soakRequests } from './soak-plan.ts';

/** A connection for each call: checks keep this process busy for longer than servers keep idle connections open. */
const dispatcher = new Agent({ pipelining: 0 });

/**
 * Mixed engines are asked whether they differ, not whether they are in time: beside other work, at a load of 15 on two cores, some
 * missed the least deadline of 10 s. Now the upper bound holds for all.
 */
const PATIENT = { ASSAY_GATEWAY_SEAL_LEAST_MS: '60000' };

export interface SoakOptions {
  readonly requests: number;
  readonly seed: string;
  /** Requests in flight. */
  readonly concurrency: number;
  /** Whether providers run the model on engines that compute differently (`assay demo --mixed`). */
  readonly mixed?: boolean;
  /** Longest answer in tokens; the plan's own by default. */
  readonly tokensMax?: number;
  /** No request is sent after so many milliseconds; without, all are. */
  readonly budgetMs?: number;
  readonly progress?: (done: number) => void;
}

export interface SoakResult {
  /** What is wrong, one line each, with the index of the request; empty for a clean run. */
  readonly problems: readonly string[];
  /** Requests by kind. */
  readonly counts: Readonly<Record<string, number>>;
  /** Requests that were answered: fewer than were asked for where the time was up. */
  readonly answered: number;
  /** Answers by verdict. */
  readonly verdicts: Readonly<Record<string, number>>;
  /** The same by the mode that was asked for, as in `witnessed agreed`. */
  readonly modes: Readonly<Record<string, number>>;
  /** Active members by numeric class. */
  readonly classes: Readonly<Record<string, number>>;
  readonly readyMs: number;
  readonly wallMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly outputTokens: number;
  readonly chargedNano: bigint;
  readonly rssStartMib: number;
  readonly rssEndMib: number;
}

/** Runs a soak over a fresh network, and ends that. */
export async function runSoak(options: SoakOptions): Promise<SoakResult> {
  const folder = mkdtempSync(path.join(tmpdir(), 'assay-soak-'));
  const mixed = options.mixed === true;
  // Trials of scorers are chance, and the reserve pays them: without, every nano that clients pay is found with the providers.
  const network = await startDemo(folder, {
    args: mixed ? ['--mixed'] : [],
    env: { ASSAY_GATEWAY_SCORER_TRIAL_PPM: '0', ...(mixed ? PATIENT : {}) },
  });
  // Each demonstration keeps its data apart.
  const dataFolder = mixed ? path.join(folder, 'mixed') : folder;
  try {
    const requests = soakRequests(options.seed, options.requests, options.tokensMax, mixed);
    const classes = await classesOf(network);
    const rssStartMib = rssMib(network.pid);
    const sent = await sendAll(network, requests, options);
    const rssEndMib = rssMib(network.pid);
    const problems = [...sent.problems, ...(await disputesOf(network))];
    network.process.kill('SIGINT');
    const code = await network.exit;
    if (code !== 0) problems.push(`the network ended with ${code}`);
    if (network.stderr() !== '') problems.push(`the network said: ${network.stderr().slice(0, 2000)}`);
    problems.push(...(await checkMoney(path.join(dataFolder, 'gateway', 'assay.sqlite'), sent.chargedNano)));
    const { readyMs } = network;
    return { ...sent, problems, counts: countsOf(requests), classes, readyMs, rssStartMib, rssEndMib };
  } finally {
    network.process.kill('SIGKILL');
    await network.exit;
    rmSync(folder, { recursive: true });
  }
}

async function sendAll(network: Network, requests: readonly SoakRequest[], options: SoakOptions) {
  const keys = (await (await fetch(`${network.url}/v1/log/keys`, { dispatcher })).json()) as LogKeys;
  const check = await createChecker(MODEL, { gatewayAddress: keys.address, logKeys: keys }, options.mixed);
  const waiting = [...requests];
  const { budgetMs = Number.POSITIVE_INFINITY } = options;
  const problems: string[] = [];
  const latencies: number[] = [];
  const verdicts: Record<string, number> = {};
  const modes: Record<string, number> = {};
  let chargedNano = 0n;
  let outputTokens = 0;
  const begunAt = performance.now();
  const worker = async () => {
    for (let request = waiting.shift(); request; request = waiting.shift()) {
      if (performance.now() - begunAt > budgetMs) return;
      const { checked, ms } = await sendOne(network, request, check);
      problems.push(...checked.problems.map((problem) => `request ${request?.index}: ${problem}`));
      chargedNano += checked.chargedNano;
      outputTokens += checked.outputTokens;
      countIn(verdicts, checked.verdict);
      countIn(modes, `${request.mode} ${checked.verdict}`);
      latencies.push(ms);
      options.progress?.(latencies.length);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
  const wallMs = performance.now() - begunAt;
  latencies.sort((a, b) => a - b);
  const quantile = (q: number) => latencies[Math.min(latencies.length - 1, Math.floor(q * latencies.length))] ?? 0;
  const answered = latencies.length;
  return {
    problems,
    answered,
    chargedNano,
    outputTokens,
    verdicts,
    modes,
    wallMs,
    p50Ms: quantile(0.5),
    p95Ms: quantile(0.95),
  };
}

async function sendOne(network: Network, request: SoakRequest, check: Checker) {
  const headers = { authorization: `Bearer ${network.apiKey}`, 'content-type': 'application/json' };
  const begunAt = performance.now();
  const response = await fetch(`${network.url}/v1/chat/completions`, {
    method: 'POST',
    headers,
    body: request.body,
    dispatcher,
  });
  const text = await response.text();
  const ms = performance.now() - begunAt;
  const answer: Answer = { status: response.status, text, receipt: null };
  return { ms, checked: check(request, { ...answer, receipt: await receiptOf(network, text) }) };
}

/** The receipt, fetched where the answer came without one; null where it has its own. */
async function receiptOf(network: Network, text: string): Promise<unknown> {
  const assay = parseSavedResponse(text)?.assay;
  if (!assay || (assay.receipt && assay.attestation)) return null;
  const headers = { authorization: `Bearer ${network.apiKey}` };
  const response = await fetch(`${network.url}${assay.url}`, { headers, dispatcher });
  const { assay: found } = (await response.json()) as { assay: { attestation: string; receipt: object } };
  return { attestation: found.attestation, ...found.receipt };
}

async function disputesOf(network: Network): Promise<string[]> {
  const { data } = (await (await fetch(`${network.url}/v1/disputes`, { dispatcher })).json()) as {
    data: readonly unknown[];
  };
  return data.length === 0 ? [] : [`${data.length} disputes`];
}

/** Members by the class that they claim. */
async function classesOf(network: Network): Promise<Record<string, number>> {
  const reply = await (await fetch(`${network.url}/v1/providers`, { dispatcher })).json();
  const { data } = reply as { data: readonly { readonly role: string; readonly numeric_class: string }[] };
  const classes: Record<string, number> = {};
  for (const { role, numeric_class: name } of data) if (role === 'member') countIn(classes, name);
  return classes;
}

function countsOf(requests: readonly SoakRequest[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { mode, n, isFull, stream, stop, body } of requests) {
    const sampling = body.includes('"temperature":0,') ? 'greedy' : 'sampled';
    const kinds = [mode, `n=${n}`, stream ? 'streamed' : 'plain', sampling];
    if (stop.length > 0) kinds.push('stop');
    if (isFull) kinds.push('evidence=full');
    for (const kind of kinds) countIn(counts, kind);
  }
  return counts;
}

function countIn(counts: Record<string, number>, kind: string): void {
  counts[kind] = (counts[kind] ?? 0) + 1;
}
