/** Of equally many equivalent transcripts, the one closest to what the others compute is served (DESIGN §7, "Verdict"). */
import { expect, test } from 'vitest';
import { createClock } from '#protocol/clock';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { evidenceRoot } from '#protocol/evidence-tree';
import { sha256, toHex, utf8, ZERO_HASH } from '#protocol/hash';
import type { ScoreReply } from '#protocol/messages';
import { scoredHash } from '#protocol/request';
import { GREEDY, type Sampling } from '#protocol/sampling';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { digests } from '#protocol/typed';
import type { Group } from '../../gateway/round/compare.ts';
import type { SealedMember } from '../../gateway/round/member.ts';
import type { AttemptPlan } from '../../gateway/round/plan.ts';
import type { ProviderClient } from '../../gateway/round/provider-client.ts';
import type { ScoringDeps } from '../../gateway/round/scoring.ts';
import { breakTie } from '../../gateway/round/tie-break.ts';
import { createToyEngine } from '../../provider/engine/toy.ts';

const engine = createToyEngine({ salt: 'real' });
const plan: AttemptPlan = {
  requestId: 'r',
  attempt: 1,
  model: 'toy',
  modelDigest: ZERO_HASH,
  promptIds: [5, 6, 7],
  sampling: { ...GREEDY, temperature: 1 },
  seed: 9n,
  maxTokens: 12,
  nonce: ZERO_HASH,
  chunkSizes: [12],
  inputNanoPerMtok: 0n,
  outputNanoPerMtok: 0n,
  jobsEndAtMs: 1_700_000_100_000,
  issuedAtMs: 0,
  expiresAtMs: 1000,
  retainUntilMs: 1000,
  checkpoint: ZERO_HASH,
  // Its class is exact.
  calibration: null,
};
const keys = new Map(['a', 'b', 'c'].map((name) => [name, nativeSigner(sha256(utf8(name)))]));

function seatOf(name: string) {
  return { address: keys.get(name)!.address, operator: name, url: name, numericClass: engine.info.numericClass };
}

function group(names: readonly string[], tokens: readonly number[]): Group {
  return { members: names.map((name) => ({ seat: seatOf(name), tokens: [...tokens] }) as unknown as SealedMember) };
}

/** Scores like a provider: one prefill by the real model, signed; those in `silent` do not answer. */
function deps(silent: readonly string[] = []): ScoringDeps & { asked: string[] } {
  const asked: string[] = [];
  let count = 0;
  const score: ProviderClient['score'] = async (url, order) => {
    asked.push(url);
    if (silent.includes(url)) return new Promise<ScoreReply>(() => undefined);
    const { outputIds, promptIds, sampling } = order;
    const evidence = await engine.score({
      promptIds,
      outputIds,
      sampling: sampling as Sampling,
      seed: BigInt(order.seed),
    });
    const statement = {
      jobId: order.ticket.jobId,
      ticketHash: toHex(digests.ticket(LOCAL_DOMAIN, { ...order.ticket, inputNanoPerMtok: 0n, outputNanoPerMtok: 0n })),
      provider: order.ticket.provider,
      transcriptHash: scoredHash(promptIds, outputIds),
      evidenceRoot: evidenceRoot(0, evidence),
      outputTokens: outputIds.length,
    };
    return { score: statement, evidence, signature: keys.get(url)!.sign(digests.score(LOCAL_DOMAIN, statement)) };
  };
  return {
    asked,
    client: { score } as unknown as ProviderClient,
    domain: LOCAL_DOMAIN,
    recover: recoverNative,
    signer: keys.get('a')!,
    // Timers fire at once: only who never answers meets its deadline.
    clock: createClock({
      now: () => 0,
      after: (_, callback) => {
        const timer = setImmediate(() => setImmediate(callback));
        return () => clearImmediate(timer);
      },
    }),
    rng: { bytes: (length) => new Uint8Array(length).fill(++count) },
    journal: { jobsIssued: async () => undefined },
    breakers: { sent: () => ({ answered() {}, failed() {}, dropped() {} }) },
    scoreTimeoutMs: 1,
  };
}

async function honest(): Promise<number[]> {
  const tokens: number[] = [];
  const { promptIds, sampling, seed, maxTokens } = plan;
  for await (const token of engine.generate({ promptIds, sampling, seed, maxTokens })) tokens.push(token.id);
  return tokens;
}

/** The honest transcript with its last token replaced by another one. */
function strayed(tokens: readonly number[]): number[] {
  return [...tokens.slice(0, -1), (tokens.at(-1)! + 1) % 32];
}

const never = new AbortController().signal;

test('the transcript that the other side would have written itself goes first, whoever was drawn first', async () => {
  const tokens = await honest();
  const stray = strayed(tokens);
  const { cluster, scores } = await breakTie(deps(), plan, [group(['a'], stray), group(['b'], tokens)], never);
  expect(cluster[0]!.members[0]!.tokens).toEqual(tokens);
  expect(scores).toHaveLength(2);
  const same = await breakTie(deps(), plan, [group(['a'], tokens), group(['b'], stray)], never);
  expect(same.cluster[0]!.members[0]!.tokens).toEqual(tokens);
});

test('a larger group needs no scores', async () => {
  const tokens = await honest();
  const asked = deps();
  const { cluster, scores } = await breakTie(
    asked,
    plan,
    [group(['a', 'b'], strayed(tokens)), group(['c'], tokens)],
    never,
  );
  expect(cluster[0]!.members).toHaveLength(2);
  expect(scores).toEqual([]);
  expect(asked.asked).toEqual([]);
});

test('a member that does not score the others gains nothing by it', async () => {
  const tokens = await honest();
  const { cluster } = await breakTie(deps(['b']), plan, [group(['a'], tokens), group(['b'], strayed(tokens))], never);
  // b never scores a's transcript; a has scored b's, which therefore is the only one with a margin.
  expect(cluster[0]!.members[0]!.seat.operator).toBe('a');
});
