/** What a gateway can pass off as a witnessed answer, and what witnesses can send in place of their own work (SPEC.md §10.4). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StatementWire } from '#protocol/attestation';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { evidenceRoot } from '#protocol/evidence-tree';
import type { ScoreReply } from '#protocol/messages';
import { scoredHash } from '#protocol/request';
import { digests } from '#protocol/typed';
import type { ItemName } from '#protocol/verify';
import { type Handler, lyingReply } from '../fixtures/cheats-wire.ts';
import { forgeAnswer, type Mutable } from '../fixtures/forged-answer.ts';
import { inventedScore } from '../fixtures/invented-score.ts';
import { booksOf } from '../fixtures/network.ts';
import { signerOf } from '../fixtures/toy-network.ts';
import {
  failuresOf,
  startWitnessedNetwork,
  statementOf,
  verified,
  type WitnessedNetwork,
} from '../fixtures/witnessed-network.ts';

const ASKED = { temperature: 1, seed: 5, logit_bias: { 0: -100 }, verification: 'witnessed; n=3; evidence=full' };

let network: WitnessedNetwork;
let honest: { saved: string; request: string };
/** One witness rejected it, and two fresh members overruled that. */
let contested: { saved: string; request: string };
beforeAll(async () => {
  network = await startWitnessedNetwork();
  honest = await network.post(ASKED);
  network.conduct.scores = 0;
  network.conduct.liesInScore = (order) => order === 0;
  contested = await network.post(ASKED, 'another question');
  network.conduct.liesInScore = () => false;
});
afterAll(async () => {
  expect(await booksOf(network.store)).toEqual([]);
  await network.stop();
});

type Body = { assay: { scores: { provider: string; evidence: { chosenLogit: number }[] }[] } };
type Forge = (statement: Mutable<StatementWire>, body: Body) => void;
const forged = (answer: { saved: string; request: string }, forge: Forge) =>
  failuresOf(
    forgeAnswer(answer.saved, signerOf('gateway'), (statement, body) => forge(statement, body as unknown as Body)),
    answer.request,
  );

describe('a gateway', () => {
  test('that signs anew what is true is not accused of anything', () => {
    expect(forged(honest, () => {})).toEqual([]);
    expect(forged(contested, () => {})).toEqual([]);
  });

  test.each<[string, ItemName, Forge]>([
    [
      'invents the score of a witness by a key of its own',
      'draw',
      (s) => {
        s.scores[1] = inventedScore(s as StatementWire, { role: 'member', key: 'invented' });
      },
    ],
    [
      'signs in the name of a witness',
      'scores',
      (s) => {
        const invented = inventedScore(s as StatementWire, { role: 'member', key: 'invented' });
        s.scores[1] = { ...invented, provider: s.scores[1]!.provider, operator: s.scores[1]!.operator };
      },
    ],
    [
      'counts one witness twice',
      'scores',
      (s) => {
        s.scores.push(structuredClone(s.scores[0]!));
      },
    ],
    [
      'serves on one witness where two were promised and could be had',
      'draw',
      (s) => {
        s.scores.pop();
        s.policy.agree = 2;
        s.agreement = { needed: 2, standing: 2, of: 2 };
      },
    ],
    [
      'needs fewer than the policy says',
      'agreement',
      (s) => {
        s.agreement.needed = 2;
      },
    ],
    [
      'has the generator witness itself',
      'agreement',
      (s) => {
        s.scores[1]!.operator = s.waves[0]!.members[0]!.operator;
      },
    ],
    [
      'calls it equivalent, which no witness can say',
      'agreement',
      (s) => {
        s.verdict = 'equivalent';
      },
    ],
    [
      'passes it off as a quorum of one seat',
      'agreement',
      (s) => {
        s.policy.mode = 'quorum';
        s.policy.evidence = undefined as never;
        delete s.policy.evidence;
        s.scores = [];
      },
    ],
    [
      'shows other evidence than the witness signed',
      'scores',
      (_, body) => {
        body.assay.scores[0]!.evidence[3]!.chosenLogit += 1;
      },
    ],
    [
      'shows evidence of somebody who scored nothing',
      'scores',
      (_, body) => {
        body.assay.scores[0]!.provider = `0x${'12'.repeat(20)}`;
      },
    ],
  ])('that %s is found out by %s', (_, item, forge) => {
    expect(forged(honest, forge)).toContain(item);
  });

  test('that reads an acceptance in evidence that rejects is found out where the evidence came along, and not proved without', () => {
    const turn: Forge = (s) => {
      for (const score of s.scores) score.accepted = true;
      s.agreement = { needed: 5, standing: 5, of: 5 };
    };
    expect(forged(contested, turn)).toContain('agreement');
    const without = forgeAnswer(contested.saved, signerOf('gateway'), (s, body) => {
      turn(s, body as unknown as Body);
      (body as unknown as Body).assay.scores = [];
    });
    expect(verified(without, contested.request).get('agreement')?.status).toBe('not checked');
  });

  test('that leaves out the witness who rejected is found out by the draw', () => {
    const drop: Forge = (s, body) => {
      const rejecting = s.scores.find(({ accepted }) => accepted === false)!;
      s.scores = s.scores.filter((score) => score !== rejecting);
      body.assay.scores = body.assay.scores.filter(({ provider }) => provider !== rejecting.provider);
      s.agreement = { needed: 4, standing: 4, of: 4 };
    };
    expect(forged(contested, drop)).toContain('draw');
  });

  test('that hides who overruled is found out by its own votes', () => {
    const drop: Forge = (s, body) => {
      const kept = s.scores.slice(0, 2);
      s.scores = kept;
      body.assay.scores = body.assay.scores.slice(0, 2);
      s.agreement = { needed: 2, standing: 2, of: 2 };
      s.policy.agree = 2;
    };
    expect(forged(contested, drop)).toContain('agreement');
  });
});

/** The same reply about other evidence, under a signature of its own. */
function about(reply: ScoreReply, name: string, evidence: ScoreReply['evidence']): ScoreReply {
  const score = { ...reply.score, evidenceRoot: evidenceRoot(0, evidence) };
  return { score, evidence, signature: signerOf(name).sign(digests.score(LOCAL_DOMAIN, score)) };
}

describe('a witness', () => {
  const lies: readonly [string, (reply: ScoreReply, name: string) => ScoreReply][] = [
    [
      'answers for another transcript, well signed',
      (reply, name) => {
        const score = { ...reply.score, transcriptHash: scoredHash([1], [2]) };
        return { ...reply, score, signature: signerOf(name).sign(digests.score(LOCAL_DOMAIN, score)) };
      },
    ],
    ["signs with somebody else's key", (reply) => ({ ...reply, signature: signerOf('x').sign(new Uint8Array(32)) })],
    ['leaves out the evidence of a token', (reply) => ({ ...reply, evidence: reply.evidence.slice(1) })],
    [
      'leaves out the evidence of a token, well signed',
      (reply, name) => about(reply, name, reply.evidence.slice(0, -1)),
    ],
    [
      'adds evidence of a token that nobody claimed, well signed',
      (reply, name) => about(reply, name, [...reply.evidence, reply.evidence[0]!]),
    ],
  ];
  test.each(lies)('that %s has no voice: it is passed over, and the next of the draw scores', async (_, lie) => {
    const liar = 'p2';
    const host = (name: string, handle: Handler): Handler =>
      name === liar ? lyingReply(handle, 'scores', (body) => lie(body as ScoreReply, name)) : handle;
    const lying = await startWitnessedNetwork({ host });
    try {
      let passed = 0;
      // The liar is a witness of every second answer or so: 40 without it are no chance.
      for (let i = 0; i < 8 || (passed === 0 && i < 40); i++) {
        const { status, saved, request } = await lying.post(ASKED, `question ${i}`);
        expect(status).toBe(200);
        const { scores, draw } = statementOf(saved);
        expect(scores.filter(({ provider }) => provider === signerOf(liar).address)).toEqual([]);
        passed += draw.skipped.filter(({ reason }) => reason === 'malformed').length;
        expect(failuresOf(saved, request)).toEqual([]);
        const agreement = verified(saved, request).get('agreement');
        expect(agreement?.status).toBe('proved');
      }
      expect(passed).toBeGreaterThan(0);
    } finally {
      await lying.stop();
    }
  });
});
