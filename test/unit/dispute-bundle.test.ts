import { describe, expect, it } from 'vitest';
import { known } from '#protocol/calibration';
import { digests } from '#protocol/typed';
import type { DisputeBundle, DisputeBundleWire } from '../../gateway/dispute/bundle.ts';
import { evidencePositions } from '../../gateway/dispute/finding.ts';
import { boundedPair } from '../fixtures/calibrations.ts';
import {
  bundleOf,
  CHEAP,
  COURT,
  DOMAIN,
  HONEST,
  hashOf,
  judged,
  parseBundle,
  REFEREE,
  scorer,
  signerOf,
  writeOrder,
} from './dispute-fixture.ts';
import { classOf, KNOWN, sampled, score } from './judge-fixture.ts';

type Wire = Omit<DisputeBundleWire, 'scores' | 'opened'> & Pick<DisputeBundle, 'scores' | 'opened'>;
type ScoreWire = DisputeBundle['scores'][number];

/** Another statement, signed by the referee itself: what it says must still be about this bundle. */
function resigned(s: ScoreWire, change: Partial<ScoreWire['reply']['score']>): ScoreWire {
  const changed = { ...s.reply.score, ...change };
  const signature = signerOf(s.operator).sign(digests.score(DOMAIN, changed));
  return { ...s, reply: { ...s.reply, score: changed, signature } };
}

const cheap = () => writeOrder(CHEAP);
const honest = () => writeOrder(HONEST);

describe('findingOf a bundle that was tampered with', () => {
  const forgeries: readonly (readonly [string, string, (bundle: Wire) => Wire])[] = [
    ['another prompt', 'other_terms', (b) => ({ ...b, terms: { ...b.terms, promptIds: [1, 2, 3] } })],
    ['another seed', 'other_terms', (b) => ({ ...b, terms: { ...b.terms, seed: '6' } })],
    [
      'another temperature',
      'other_terms',
      (b) => ({ ...b, terms: { ...b.terms, sampling: sampled({ temperature: 0.5 }) } }),
    ],
    ['another chunk schedule', 'other_terms', (b) => ({ ...b, terms: { ...b.terms, chunkSizes: [8] } })],
    [
      'another provider',
      'other_provider',
      (b) => ({ ...b, accused: { ...b.accused, provider: signerOf('other').address } }),
    ],
    [
      'a commitment of somebody else',
      'commitment_unsigned',
      (b) => {
        const [first, ...rest] = b.accused.commitments;
        const value = { jobId: b.accused.ticket.jobId, index: 0, commitment: first!.commitment };
        const signature = signerOf('other').sign(digests.commitment(DOMAIN, value));
        return { ...b, accused: { ...b.accused, commitments: [{ ...first!, signature }, ...rest] } };
      },
    ],
    [
      'an opening under another salt',
      'opening_unfit',
      (b) => {
        const openings = b.accused.openings.map((opening) => ({ ...opening, salt: hashOf('salt') }));
        return { ...b, accused: { ...b.accused, openings } };
      },
    ],
    [
      'one token changed',
      'tokens_unsealed',
      (b) => ({ ...b, accused: { ...b.accused, tokens: b.accused.tokens.with(3, 65) } }),
    ],
    [
      'one token added',
      'tokens_unsealed',
      (b) => ({ ...b, accused: { ...b.accused, tokens: [...b.accused.tokens, 65] } }),
    ],
    [
      'another finish in the claim',
      'claim_unfit',
      (b) => {
        const claim = { ...b.accused.claim!, value: { ...b.accused.claim!.value, finish: 3 } };
        return { ...b, accused: { ...b.accused, claim } };
      },
    ],
    [
      'evidence that was not committed to',
      'evidence_unproven',
      (b) => {
        const opened = b.opened!.map((item) => ({
          ...item,
          evidence: { ...item.evidence, chosenLogit: item.evidence.chosenLogit + 1 },
        }));
        return { ...b, opened };
      },
    ],
    [
      'evidence of a position that does not exist',
      'evidence_unproven',
      (b) => ({ ...b, opened: [{ ...b.opened![0]!, position: 999 }] }),
    ],
  ];
  it.each(forgeries)('convicts nobody by %s', async (_, problem, forge) => {
    const bundle = await bundleOf(await cheap(), { judges: [REFEREE] });
    expect(judged(bundle).ruling).toBe('upheld');
    expect(judged(forge(bundle as Wire))).toEqual({
      ruling: 'abandoned',
      finding: { reason: `bundle:${problem}`, count: 0 },
    });
  });

  const scores: readonly (readonly [string, (score: ScoreWire) => ScoreWire])[] = [
    [
      'signed by somebody else',
      (s) => ({ ...s, reply: { ...s.reply, signature: signerOf('other').sign(digests.score(DOMAIN, s.reply.score)) } }),
    ],
    ['about other tokens, by its signed word', (s) => resigned(s, { transcriptHash: hashOf('others') })],
    ['about another number of tokens, by its signed word', (s) => resigned(s, { outputTokens: 1 })],
    ['cut short', (s) => ({ ...s, reply: { ...s.reply, evidence: s.reply.evidence.slice(0, -1) } })],
  ];
  it.each(scores)('does not count a score %s', async (_, forge) => {
    const bundle = await bundleOf(await cheap(), { judges: [REFEREE] });
    expect(judged({ ...bundle, scores: (bundle as Wire).scores.map(forge) })).toEqual({
      ruling: 'abandoned',
      finding: null,
    });
  });

  it('does not count evidence that replaces what the scorer has signed, however well it fits', async () => {
    const written = await cheap();
    const bundle = await bundleOf(written, { judges: [REFEREE] });
    // The cheap engine would have accepted its own tokens.
    const evidence = await score(CHEAP, { ...written, tokens: written.tokens });
    const scores = (bundle as Wire).scores.map((s) => ({ ...s, reply: { ...s.reply, evidence } }));
    expect(judged({ ...bundle, scores })).toEqual({ ruling: 'abandoned', finding: null });
  });
});

describe('the calibration of a bundle', () => {
  const wide = { ...KNOWN.calibration, pairs: [boundedPair(classOf('fp32'), classOf('fp32'), 5)] };
  const other = known(wide);
  const elsewhere = known({ ...KNOWN.calibration, modelDigest: `0x${'77'.repeat(32)}` });
  const court = {
    ...COURT,
    calibrationOf: (hash: string) => [KNOWN, other, elsewhere].find((item) => item.hash === hash)?.calibration ?? null,
  };

  it('decides, whatever is in force where it is judged: the same bundle is ruled alike for ever', async () => {
    const bundle = await bundleOf(await cheap(), { judges: [REFEREE, scorer('x')] });
    expect(judged(bundle, court).ruling).toBe('upheld');
    // Under figures so wide that nothing is wrong it would have been another ruling.
    expect(judged({ ...bundle, calibration: other.hash }, court).ruling).toBe('rejected');
    // A judge that knows more files, or lists another one last, finds the same.
    const reordered = {
      ...court,
      calibrationOf: (hash: string) => [other, KNOWN].find((item) => item.hash === hash)?.calibration ?? null,
    };
    expect(judged(bundle, reordered)).toEqual(judged(bundle, court));
  });

  it.each([
    ['names none, as bundles did before there were any', null],
    ['names one that the judge has not', `0x${'99'.repeat(32)}` as const],
    ['names one of another model', elsewhere.hash],
  ])('convicts and acquits nobody by differences where it %s', async (_, calibration) => {
    for (const written of [await cheap(), await honest()]) {
      const bundle = await bundleOf(written, { judges: [REFEREE, scorer('x')] });
      expect(judged({ ...bundle, calibration }, court)).toEqual({ ruling: 'abandoned', finding: null });
      const { calibration: _named, ...old } = bundle;
      expect(judged(calibration === null ? old : { ...bundle, calibration }, court).ruling).toBe('abandoned');
    }
  });
});

describe('evidencePositions', () => {
  it('asks at the divergence, where judges object, and all over the transcript; never twice and never beyond', async () => {
    const bundle = parseBundle(await bundleOf(await cheap(), { judges: [REFEREE], shows: null }));
    const positions = evidencePositions(bundle, COURT);
    expect(positions).toHaveLength(16);
    expect(new Set(positions).size).toBe(16);
    expect(positions[0]).toBe(bundle.served?.divergesAt);
    expect(Math.max(...positions)).toBeLessThan(bundle.accused.tokens.length);
    const short = { ...bundle, accused: { ...bundle.accused, tokens: bundle.accused.tokens.slice(0, 3) } };
    expect([...evidencePositions(short, COURT)].sort()).toEqual([0, 1, 2]);
  });

  it('asks where the one wrong token of a long answer is', async () => {
    const written = await honest();
    const tokens = [...written.tokens];
    tokens[37] = tokens[37] === 90 ? 91 : 90;
    const bundle = await bundleOf({ ...written, tokens }, { judges: [REFEREE], shows: null });
    // Not at the divergence from what was served, and not among the positions that are spread evenly.
    expect(evidencePositions(parseBundle({ ...bundle, served: null }), COURT)).toContain(37);
  });
});
