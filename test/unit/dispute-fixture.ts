/** Dispute bundles made from real toy transcripts, sealed and signed as providers do. */
import { isDeepStrictEqual } from 'node:util';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import type { TokenEvidence } from '#protocol/evidence';
import { evidencePath, evidenceRoot } from '#protocol/evidence-tree';
import { type Hash, sha256, toHex, utf8, ZERO_HASH } from '#protocol/hash';
import { ticketToWire } from '#protocol/messages';
import { scoredHash } from '#protocol/request';
import type { Sampling } from '#protocol/sampling';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { digests, type FinishKind } from '#protocol/typed';
import {
  type DisputeBundle,
  type DisputeBundleWire,
  disputeIdOf,
  zDisputeBundle,
} from '../../gateway/dispute/bundle.ts';
import { type Court, evidencePositions, type Finding, findingOf } from '../../gateway/dispute/finding.ts';
import { firstDivergence } from '../../gateway/judge/divergence.ts';
import { generateTicket } from '../../gateway/round/plan.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import { TOY_TEXT } from '../../provider/engine/toy.ts';
import { buildClaim, sealChunk } from '../../provider/jobs/transcript.ts';
import type { StoredChunk, StoredRoot } from '../../provider/store/store.ts';
import { classOf, KNOWN, machine, promptOf, sampled, type Written, write } from './judge-fixture.ts';

export const DOMAIN = LOCAL_DOMAIN;
export const COURT: Court = {
  domain: DOMAIN,
  recover: recoverNative,
  text: TOY_TEXT,
  calibrationOf: (hash) => (hash === KNOWN.hash ? KNOWN.calibration : null),
};
export const hashOf = (text: string): Hash => toHex(sha256(utf8(text)));
export const signerOf = (name: string) => nativeSigner(sha256(utf8(name)));

const CHUNK = 16;
export const MAX_TOKENS = 48;

export const PLAN = {
  requestId: 'request-1',
  attempt: 0,
  model: 'toy',
  modelDigest: hashOf('toy'),
  promptIds: promptOf('A disputed question'),
  sampling: sampled({}),
  // With this seed the honest answer reaches the limit of tokens.
  seed: 1n,
  maxTokens: MAX_TOKENS,
  nonce: hashOf('nonce'),
  chunkSizes: [CHUNK],
  inputNanoPerMtok: 1n,
  outputNanoPerMtok: 2n,
  issuedAtMs: 1000,
  jobsEndAtMs: 61_000,
  expiresAtMs: 2000,
  retainUntilMs: 3000,
  checkpoint: ZERO_HASH,
  calibration: KNOWN,
};

export interface Judge {
  readonly engine: Engine;
  readonly operator: string;
  readonly role: 'member' | 'referee';
  readonly numericClass?: string;
  /** How many tokens it scored; all by default. */
  readonly tokens?: number;
}

export interface CaseOptions {
  readonly fault?: DisputeBundle['fault'];
  readonly reason?: string;
  readonly finish?: FinishKind;
  readonly judges?: readonly Judge[];
  readonly numericClass?: string;
  /** Which positions the accused shows, of those that it is asked for; null where nobody has asked. */
  readonly shows?: ((position: number) => boolean) | null;
  readonly contradiction?: DisputeBundleWire['contradiction'];
}

export const HONEST = machine('fp32', 'honest');
export const CHEAP = machine('fp32', 'accused', 'cheap');
export const REFEREE: Judge = { engine: machine('fp32', 'referee'), operator: 'house', role: 'referee' };
export const scorer = (name: string, engine: Engine = machine('fp32', name)): Judge => ({
  engine,
  operator: name,
  role: 'member',
});

export function writeOrder(engine: Engine, sampling: Sampling = PLAN.sampling): Promise<Written> {
  return write(engine, { promptIds: PLAN.promptIds, sampling, seed: PLAN.seed, maxTokens: MAX_TOKENS });
}

/** The job of the accused, as its gateway has ordered it. */
export function jobOf(name: string) {
  const job = {
    jobId: hashOf(`job ${name}`),
    provider: signerOf(name).address,
    roundId: hashOf('round'),
    padHash: hashOf('pad'),
  };
  return generateTicket(PLAN, DOMAIN, job);
}

function sealAll(written: Written, finish: FinishKind): { chunks: StoredChunk[]; roots: StoredRoot[] } {
  const { address } = signerOf('accused');
  const chunks: StoredChunk[] = [];
  const roots: StoredRoot[] = [];
  for (let first = 0; first < written.tokens.length; first += CHUNK) {
    const tokens = written.tokens
      .slice(first, first + CHUNK)
      .map((id, i) => ({ id, evidence: written.evidence[first + i]! }));
    const last = first + CHUNK >= written.tokens.length;
    const index = chunks.length;
    chunks.push(
      sealChunk({
        provider: address,
        jobId: jobOf('accused').ticket.jobId,
        before: { chunks, roots },
        tokens,
        finish: last ? finish : null,
        noise: { temperature: written.sampling.temperature, seed: written.seed },
        salt: hashOf(`salt ${index}`),
      }),
    );
    roots.push({ index, root: hashOf(`root ${index}`), slot: 0, signature: `0x${'00'.repeat(65)}` });
  }
  return { chunks, roots };
}

async function scoreOf(judge: Judge, written: Written): Promise<DisputeBundleWire['scores'][number]> {
  const tokens = written.tokens.slice(0, judge.tokens ?? written.tokens.length);
  const { promptIds, sampling, seed } = PLAN;
  const evidence = await judge.engine.score({ promptIds, outputIds: tokens, sampling, seed });
  const signer = signerOf(judge.operator);
  const score = {
    jobId: hashOf(`score ${judge.operator}`),
    ticketHash: hashOf('ticket'),
    provider: signer.address,
    transcriptHash: scoredHash(promptIds, tokens),
    evidenceRoot: evidenceRoot(0, evidence),
    outputTokens: tokens.length,
  };
  return {
    operator: judge.operator,
    numericClass: judge.numericClass ?? classOf('fp32'),
    role: judge.role,
    reply: { score, signature: signer.sign(digests.score(DOMAIN, score)), evidence },
  };
}

/** A bundle about a transcript of the provider `accused`, as JSON. */
export async function bundleOf(written: Written, options: CaseOptions = {}): Promise<DisputeBundleWire> {
  const { fault = 'wrong_output', reason = 'rejected_by_scorers', judges = [], shows = () => true } = options;
  const signer = signerOf('accused');
  const { ticket, ticketHash } = jobOf('accused');
  const finish = options.finish ?? written.finish;
  const { chunks, roots } = sealAll(written, finish);
  const job = { ticket, ticketHash } as Parameters<typeof buildClaim>[0]['job'];
  const claim = buildClaim({ provider: signer.address, job, opened: chunks, roots, finish });
  const honest = await writeOrder(HONEST);
  const { seed, promptIds, sampling, attempt, model, modelDigest, maxTokens, nonce, chunkSizes, checkpoint } = PLAN;
  const bundle: DisputeBundleWire = {
    version: 1,
    disputeId: disputeIdOf(ticket.jobId, fault),
    requestId: PLAN.requestId,
    fault,
    reason,
    terms: {
      attempt,
      model,
      modelDigest,
      promptIds,
      sampling,
      seed: seed.toString(),
      maxTokens,
      nonce,
      chunkSizes,
      checkpoint,
    },
    accused: {
      provider: signer.address,
      operator: 'accused',
      numericClass: options.numericClass ?? classOf('fp32'),
      url: 'http://127.0.0.1:1',
      ticket: ticketToWire(ticket),
      commitments: chunks.map(({ commitment, opening: { index } }) => {
        const value = { jobId: ticket.jobId, index, commitment };
        return { index, commitment, signature: signer.sign(digests.commitment(DOMAIN, value)) };
      }),
      openings: chunks.map((chunk) => chunk.opening),
      tokens: written.tokens,
      claim: { value: claim, signature: signer.sign(digests.claim(DOMAIN, claim)) },
    },
    calibration: PLAN.calibration.hash,
    served: {
      provider: signerOf('honest').address,
      tokens: honest.tokens,
      divergesAt: firstDivergence(honest.tokens, written.tokens),
    },
    contradiction: options.contradiction ?? null,
    scores: await Promise.all(judges.map((judge) => scoreOf(judge, written))),
    opened: null,
    finding: null,
  };
  if (shows === null) return bundle;
  const positions = evidencePositions(zDisputeBundle.parse(bundle), COURT);
  return { ...bundle, opened: positions.filter(shows).map((position) => openedAt(chunks, position)) };
}

function openedAt(
  chunks: readonly StoredChunk[],
  position: number,
): { position: number; evidence: TokenEvidence; path: Hash[] } {
  const chunk = chunks[Math.floor(position / CHUNK)]!;
  const first = Math.floor(position / CHUNK) * CHUNK;
  return { position, evidence: chunk.evidence[position - first]!, path: evidencePath(first, chunk.evidence, position) };
}

/** What anybody makes of the bundle who gets it as a file. */
export function parseBundle(bundle: DisputeBundleWire): DisputeBundle {
  return zDisputeBundle.parse(JSON.parse(JSON.stringify(bundle)));
}

/** The finding on a bundle; throws where a round trip through JSON, or what somebody wrote into it, changes it. */
export function judged(bundle: DisputeBundleWire, court: Court = COURT): Finding {
  const finding = findingOf(parseBundle(bundle), court);
  const wire = JSON.parse(JSON.stringify({ ...bundle, finding: { reason: 'what somebody found', count: 9 } }));
  const second = findingOf(parseBundle(wire as DisputeBundleWire), court);
  if (!isDeepStrictEqual(second, finding)) throw new Error('judged differently a second time');
  return finding;
}
