/** A provider on a real socket, and the gateway's side of its protocol: tickets, sealed rounds, permissions. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import type { Rng } from '#protocol/env';
import { type Hash, sha256, toHex, utf8, ZERO_HASH } from '#protocol/hash';
import {
  type CommitmentEvent,
  type JobOrderWire,
  type PermissionOrder,
  type ScoreOrderWire,
  ticketToWire,
} from '#protocol/messages';
import { generateJobHash, promptHash, samplingHash, scoredHash } from '#protocol/request';
import { memberSlots, padHash, sealRound } from '#protocol/round';
import { GREEDY, type Sampling } from '#protocol/sampling';
import type { Signer } from '#protocol/signer';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { digests, type Permission, requestHash, TICKET_KINDS, type Ticket } from '#protocol/typed';
import { createProvider, type Provider } from '../../provider/app.ts';
import { DEFAULT_LIMITS, type ProviderDeps, type ProviderLimits } from '../../provider/deps.ts';
import type { Engine, GenerateRequest } from '../../provider/engine/engine.ts';
import { createToyEngine, TOY_TEXT } from '../../provider/engine/toy.ts';
import { SILENT_LOG } from '../../provider/log.ts';
import { createMemoryStore } from '../../provider/store/memory.ts';
import type { ProviderStore } from '../../provider/store/store.ts';
import { HandClock } from '../fixtures/hand-clock.ts';

export const hashOf = (text: string): Hash => toHex(sha256(utf8(text)));
export const signerOf = (name: string): Signer => nativeSigner(sha256(utf8(name)));

export const GATEWAY = signerOf('gateway');
export const PROVIDER = signerOf('provider');
export const MODEL_DIGEST = hashOf('toy model');
export const START_MS = 1_700_000_000_000;
const PAD_SEED = hashOf('pad');
export const ROUND_ID = hashOf('round');
/** The slot that the fixture's gateway gives to the provider. */
export const SLOT = memberSlots(PAD_SEED, ROUND_ID, 1)[0]!;
export const PROMPT_IDS = TOY_TEXT.encodeChat([{ role: 'user', content: 'hello' }]);

/** Greedy, and the toy's EOS (id 0) is out of reach: answers have exactly `maxTokens` tokens. */
export const LONG: Sampling = { ...GREEDY, logitBias: [[0, -100]] };

/** Time that moves only when told. */
export class ManualClock extends HandClock {
  constructor() {
    super(START_MS);
  }

  get sleeping(): number {
    return this.waiting();
  }

  advance(ms: number): void {
    this.pass(ms);
  }
}

/** Bytes that never repeat, so that a second salt for one chunk would show. */
export function countingRng(): Rng {
  let count = 0;
  return { bytes: (length) => sha256(utf8(`rng ${count++}`)).slice(0, length) };
}

/** An engine that holds every generation until `open`, and tells how many it is holding or running. */
export function gatedEngine(engine: Engine = createToyEngine()): Engine & { open(): void; active(): number } {
  let active = 0;
  let open: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const aborted = (signal: AbortSignal | undefined) =>
    new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
  return {
    info: engine.info,
    text: engine.text,
    async *generate(order: GenerateRequest) {
      active++;
      try {
        await Promise.race([gate, aborted(order.signal)]);
        yield* engine.generate(order);
      } finally {
        active--;
      }
    },
    score: async (order) => {
      await Promise.race([gate, aborted(order.signal)]);
      return engine.score(order);
    },
    close: () => engine.close(),
    open: () => open(),
    active: () => active,
  };
}

export interface RunningProvider {
  readonly url: string;
  readonly clock: ManualClock;
  readonly store: ProviderStore;
  readonly provider: Provider;
  stop(): Promise<void>;
}

export interface ProviderOptions {
  readonly engine?: Engine;
  readonly store?: ProviderStore;
  readonly clock?: ManualClock;
  readonly rng?: Rng;
  readonly limits?: Partial<ProviderLimits>;
  readonly log?: ProviderDeps['log'];
  readonly gateways?: readonly Signer[];
}

/** A provider that listens on a port of its own. */
export async function startProvider(options: ProviderOptions = {}): Promise<RunningProvider> {
  const clock = options.clock ?? new ManualClock();
  const store = options.store ?? createMemoryStore();
  const provider = createProvider({
    models: new Map([[MODEL_DIGEST, { id: 'toy', engine: options.engine ?? createToyEngine() }]]),
    manifest: { operator: 'tester', role: 'member', region: 'local' },
    signer: PROVIDER,
    recover: recoverNative,
    domain: LOCAL_DOMAIN,
    gatewayAddresses: new Set((options.gateways ?? [GATEWAY]).map((gateway) => gateway.address)),
    store,
    clock,
    rng: options.rng ?? countingRng(),
    log: options.log ?? SILENT_LOG,
    limits: { ...DEFAULT_LIMITS, ...options.limits },
  });
  const server = serve({ fetch: provider.app.fetch, hostname: '127.0.0.1', port: 0 }) as Server;
  await new Promise<void>((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const stop = () =>
    new Promise<void>((resolve) => {
      provider.close();
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url, clock, store, provider, stop };
}

/** What of an order a test may bend; the hashes follow unless they are given themselves. */
export interface OrderChanges {
  readonly jobId?: Hash;
  readonly promptIds?: readonly number[];
  readonly sampling?: Sampling;
  readonly seed?: bigint;
  readonly maxTokens?: number;
  readonly chunkSizes?: readonly number[];
  readonly modelDigest?: Hash;
  readonly ticket?: Partial<Ticket>;
  readonly signer?: Signer;
}

function terms(changes: OrderChanges) {
  const { promptIds = PROMPT_IDS, sampling = LONG, seed = 7n, maxTokens = 12, modelDigest = MODEL_DIGEST } = changes;
  const body = { model: 'toy', modelDigest, promptIds: [...promptIds], sampling, seed: `${seed}`, maxTokens };
  return { ...body, nonce: ZERO_HASH };
}

function signedTicket(body: ReturnType<typeof terms>, kind: number, jobHash: Hash, changes: OrderChanges) {
  const { model, modelDigest, promptIds, sampling, seed, maxTokens, nonce } = body;
  const ticket: Ticket = {
    jobId: changes.jobId ?? hashOf('job'),
    requestHash: requestHash({
      model,
      modelDigest,
      promptHash: promptHash(promptIds),
      samplingHash: samplingHash(sampling),
      seed: BigInt(seed),
      maxTokens,
      nonce,
    }),
    roundId: ROUND_ID,
    provider: PROVIDER.address,
    kind,
    jobHash,
    padHash: padHash(PAD_SEED),
    inputNanoPerMtok: 1_000n,
    outputNanoPerMtok: 2_000n,
    issuedAtMs: START_MS,
    expiresAtMs: START_MS + 60_000,
    retainUntilMs: START_MS + 3_600_000,
    checkpoint: hashOf('checkpoint'),
    ...changes.ticket,
  };
  const signature = (changes.signer ?? GATEWAY).sign(digests.ticket(LOCAL_DOMAIN, ticket));
  return { ticket: ticketToWire(ticket), signature };
}

/** A signed order for a generating job. */
export function jobOrder(changes: OrderChanges = {}): JobOrderWire {
  const body = terms(changes);
  const chunkSizes = [...(changes.chunkSizes ?? [4])];
  return { ...signedTicket(body, TICKET_KINDS.generate, generateJobHash(chunkSizes), changes), ...body, chunkSizes };
}

/** A signed order for a score. */
export function scoreOrder(outputIds: readonly number[], changes: OrderChanges = {}): ScoreOrderWire {
  const body = terms(changes);
  const jobHash = scoredHash(body.promptIds, outputIds);
  return { ...signedTicket(body, TICKET_KINDS.score, jobHash, changes), ...body, outputIds: [...outputIds] };
}

/** A permission for a commitment in a round of its own, as the gateway would seal it. */
export function permit(
  { index, commitment }: Pick<CommitmentEvent, 'index' | 'commitment'>,
  changes: { slot?: number; roundId?: Hash; signer?: Signer; other?: Hash; permission?: Partial<Permission> } = {},
): PermissionOrder {
  const { slot = SLOT, roundId = ROUND_ID, signer = GATEWAY, other } = changes;
  const commitments = new Map([[slot, commitment]]);
  if (other !== undefined) commitments.set((slot + 1) % 16, other);
  const round = sealRound(roundId, index, PAD_SEED, commitments);
  const permission = { roundId, index, roundRoot: round.root, ...changes.permission };
  const signature = signer.sign(digests.permission(LOCAL_DOMAIN, permission));
  return { permission, signature, slot, path: round.path(slot) };
}
