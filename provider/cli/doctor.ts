/** `assay provider doctor`: every reason why a provider would not earn, one line each. */

import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { z } from 'zod';
import type { Address } from '#protocol/hash';
import { zManifestReply } from '#protocol/messages';
import { GREEDY } from '#protocol/sampling';
import { safeParse } from '#protocol/schema';
import type { ProviderConfig } from '../config.ts';
import { engineStates } from '../engine/engine-kinds.ts';
import { loadModel } from '../load-model.ts';
import { type CommandIo, callJson } from './command-io.ts';
import { gatewayAddressAt, readSigner } from './gateway-call.ts';

export interface Finding {
  readonly name: string;
  readonly state: 'ok' | 'warn' | 'fail';
  readonly text: string;
}

export interface Patient {
  readonly config: ProviderConfig;
  /** URL of the gateway to ask; null asks none. */
  readonly gateway: string | null;
  /** Where the gateway reaches this provider; null is not tried. */
  readonly url: string | null;
  readonly nodeVersion: string;
}

/** Transcripts of a busy day at 250 bytes a token fit; below, the store soon cannot be written. */
const FREE_BYTES_MIN = 1024 ** 3;
/** Tickets allow 30 s; half of it is a clock that nobody keeps. */
const SKEW_WARN_MS = 5_000;
const SKEW_FAIL_MS = 30_000;
/** Slower than this, a 256-token answer takes longer than the default round of 60 s. */
const TOKENS_PER_SECOND_MIN = 5;
const TRIAL_TOKENS = 8;

const ok = (name: string, text: string): Finding => ({ name, state: 'ok', text });
const warn = (name: string, text: string): Finding => ({ name, state: 'warn', text });
const fail = (name: string, text: string): Finding => ({ name, state: 'fail', text });

/** All checks in order; none throws, and none changes anything that stays. */
export async function examine(patient: Patient, io: CommandIo): Promise<Finding[]> {
  const { config } = patient;
  const checks: (readonly [string, () => Finding | Finding[] | Promise<Finding | Finding[]>])[] = [
    ['node', () => checkNode(patient.nodeVersion)],
    ['key', () => checkKey(config)],
    ['disk', () => checkDisk(config)],
    ['engines', () => checkEngines(config)],
    ['execution-providers', () => checkExecutionProviders(config)],
    ['model', () => checkModel(config, io)],
    ['port', () => checkPort(config, io)],
    ...(patient.gateway === null ? [] : [['gateway', () => checkGateway(patient, patient.gateway!, io)] as const]),
    ...(patient.url === null ? [] : [['url', () => checkUrl(config, patient.url!, io)] as const]),
  ];
  const findings: Finding[] = [];
  for (const [name, check] of checks) {
    try {
      findings.push(...[await check()].flat());
    } catch (error) {
      findings.push(fail(name, error instanceof Error ? error.message : 'failed'));
    }
  }
  return findings;
}

function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  return major > 20 || (major === 20 && minor >= 11)
    ? ok('node', version)
    : fail('node', `${version}: 20.11 or newer is needed`);
}

function checkKey(config: ProviderConfig): Finding {
  const { address } = readSigner(config);
  const others = statSync(config.keyFile).mode & 0o077;
  return others === 0 ? ok('key', address) : fail('key', 'others than its owner may read the key file: chmod 600');
}

function checkDisk({ dataFolder }: ProviderConfig): Finding {
  mkdirSync(dataFolder, { recursive: true });
  const probe = path.join(dataFolder, `.doctor-${randomUUID()}`);
  writeFileSync(probe, 'x');
  rmSync(probe);
  const { bavail, bsize } = statfsSync(dataFolder);
  const free = bavail * bsize;
  const text = `${dataFolder}: writable, ${(free / FREE_BYTES_MIN).toFixed(1)} GiB free`;
  return free < FREE_BYTES_MIN ? warn('disk', text) : ok('disk', text);
}

/** Which engines this installation has; it fails where the chosen one is not among them. */
async function checkEngines({ engine, upstreamUrl }: ProviderConfig): Promise<Finding> {
  const states = await engineStates();
  const text = states.map(({ kind, version, problem }) => `${kind} ${version ?? `missing (${problem})`}`).join('; ');
  const isMissing = upstreamUrl === null && states.find(({ kind }) => kind === engine)?.version === null;
  return isMissing ? fail('engines', text) : ok('engines', text);
}

async function checkExecutionProviders(config: ProviderConfig): Promise<Finding> {
  const { executionProviders, engine, upstreamUrl } = config;
  if (upstreamUrl !== null) return ok('execution-providers', `not used: ${upstreamUrl} runs the model`);
  if (engine !== 'onnxruntime') return ok('execution-providers', `not used: ${engine} runs the model on the CPU`);
  const { listSupportedBackends } = await import('onnxruntime-node');
  const there = listSupportedBackends().map(({ name }) => name);
  const missing = executionProviders.filter((name) => !there.includes(name));
  const text = `asked for ${executionProviders.join(', ')}; this build has ${there.join(', ')}`;
  return missing.length > 0 ? fail('execution-providers', text) : ok('execution-providers', text);
}

async function checkModel(config: ProviderConfig, io: CommandIo): Promise<Finding[]> {
  const { digest, engine } = await loadModel(config, io.clock);
  try {
    const { numericClass, contextMax } = engine.info;
    const findings = [ok('model', `${config.modelId}, digest ${digest}, class ${numericClass}, context ${contextMax}`)];
    const promptIds = engine.text.encodeChat([{ role: 'user', content: 'Hello' }]);
    const startedMs = io.clock.nowMs();
    let count = 0;
    for await (const _ of engine.generate({ promptIds, sampling: GREEDY, seed: 0n, maxTokens: TRIAL_TOKENS })) count++;
    const seconds = Math.max(io.clock.nowMs() - startedMs, 1) / 1000;
    const text = `${count} tokens in ${seconds.toFixed(2)} s`;
    const isSlow = count / seconds < TOKENS_PER_SECOND_MIN;
    findings.push(count === 0 ? fail('engine', text) : isSlow ? warn('engine', text) : ok('engine', text));
    return findings;
  } finally {
    await engine.close();
  }
}

async function checkPort(config: ProviderConfig, io: CommandIo): Promise<Finding> {
  const { host, port } = config;
  if (await isFree(host, port)) return ok('port', `${port} of ${host} is free: the provider is not running`);
  return checkManifest('port', `http://${host.includes(':') ? `[${host}]` : host}:${port}`, config, io);
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, host, () => probe.close(() => resolve(true)));
  });
}

const checkUrl = (config: ProviderConfig, url: string, io: CommandIo) => checkManifest('url', url, config, io);

/** Who answers there, and what its manifest says. */
async function checkManifest(name: string, url: string, config: ProviderConfig, io: CommandIo): Promise<Finding> {
  const reply = safeParse(zManifestReply, (await callJson(io, `${url}/v1/provider`)).body);
  if (!reply.success) return fail(name, `${url} is taken by something that is no provider`);
  const { address, models, capabilities, operator, role } = reply.data.manifest;
  if (address !== readSigner(config).address) return fail(name, `${url} is another provider: ${address}`);
  const served = models.map(({ id, numericClass }) => `${id} (${numericClass})`).join(', ');
  return ok(name, `${url}: ${role} of ${operator}, ${served}, sampler ${capabilities.sampler ?? 'none'}`);
}

const zProviders = z.object({
  data: z.array(z.object({ id: z.string(), status: z.string(), stake_nano: z.string() })),
});

async function checkGateway({ config }: Patient, gateway: string, io: CommandIo): Promise<Finding[]> {
  const address: Address = await gatewayAddressAt(io, gateway);
  const known = config.gatewayAddresses.includes(address)
    ? ok('gateway', `${gateway} signs as ${address}, which is trusted`)
    : fail('gateway', `${gateway} signs as ${address}, which is not among gatewayAddresses: its tickets are refused`);
  const before = io.clock.nowMs();
  const { body, headers } = await callJson(io, `${gateway}/v1/providers`);
  const middle = (before + io.clock.nowMs()) / 2;
  return [known, checkClock(headers.get('date'), middle), checkAdmission(body, config)];
}

function checkClock(date: string | null, nowMs: number): Finding {
  const theirs = Date.parse(date ?? '');
  if (Number.isNaN(theirs)) return warn('clock', 'the gateway does not tell its time');
  // The header has whole seconds, cut off: half a second more is the better guess.
  const skewMs = Math.round(Math.abs(theirs + 500 - nowMs));
  const text = `${skewMs} ms from the gateway's, give or take 500`;
  if (skewMs > SKEW_FAIL_MS) return fail('clock', `${text}: tickets are refused`);
  return skewMs > SKEW_WARN_MS ? warn('clock', text) : ok('clock', text);
}

function checkAdmission(body: unknown, config: ProviderConfig): Finding {
  const parsed = safeParse(zProviders, body);
  const { address } = readSigner(config);
  const row = parsed.success ? parsed.data.data.find(({ id }) => id === address) : undefined;
  if (row === undefined) return warn('admission', 'not admitted: assay provider join');
  const text = `${row.status}, stake ${row.stake_nano} nano`;
  return row.status === 'active' ? ok('admission', text) : warn('admission', text);
}
