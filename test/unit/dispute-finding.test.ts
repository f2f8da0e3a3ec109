import { describe, expect, it } from 'vitest';
import type { Contradiction } from '#protocol/contradiction';
import { LOGIT_SCALE } from '#protocol/evidence';
import { commitmentHash } from '#protocol/round';
import { digests, type Opening } from '#protocol/typed';
import {
  bundleOf,
  type CaseOptions,
  CHEAP,
  COURT,
  DOMAIN,
  HONEST,
  hashOf,
  jobOf,
  judged,
  MAX_TOKENS,
  parseBundle,
  REFEREE,
  scorer,
  signerOf,
  writeOrder,
} from './dispute-fixture.ts';
import { classOf, machine, score, type Written } from './judge-fixture.ts';

const cheap = () => writeOrder(CHEAP);
const honest = () => writeOrder(machine('fp32', 'accused'));
const rulingOf = async (written: Written, options: CaseOptions) => judged(await bundleOf(written, options));
const LIAR = machine('fp32', 'liar', 'invented');

describe('findingOf an output that scorers rejected', () => {
  it('upholds against another model: referee rejects, evidence far off', async () => {
    const finding = await rulingOf(await cheap(), { judges: [scorer('x'), scorer('y'), REFEREE] });
    expect(finding).toMatchObject({ ruling: 'upheld', finding: { reason: 'evidence_far_off' } });
  });

  it('upholds by the referee alone, where nobody else was left to score', async () => {
    expect(await rulingOf(await cheap(), { judges: [REFEREE] })).toMatchObject({ ruling: 'upheld' });
  });

  it('rejects what the referee accepts, whatever two lying scorers say', async () => {
    const judges = [scorer('x', LIAR), scorer('y', LIAR), REFEREE];
    expect(await rulingOf(await honest(), { judges })).toEqual({ ruling: 'rejected', finding: null });
  });

  it('convicts nobody by two scorers without the referee, be they right or lying', async () => {
    const abandoned = { ruling: 'abandoned', finding: null };
    expect(await rulingOf(await honest(), { judges: [scorer('x', LIAR), scorer('y', LIAR)] })).toEqual(abandoned);
    expect(await rulingOf(await cheap(), { judges: [scorer('x'), scorer('y')] })).toEqual(abandoned);
    expect(
      await rulingOf(await honest(), { judges: [scorer('x', LIAR), scorer('y', LIAR)], shows: () => false }),
    ).toEqual(abandoned);
  });

  it('clears who is accepted by a scorer and rejected by none, but not who was never judged', async () => {
    expect((await rulingOf(await honest(), { judges: [scorer('x')] })).ruling).toBe('rejected');
    expect((await rulingOf(await honest(), { judges: [] })).ruling).toBe('abandoned');
    expect((await rulingOf(await honest(), { judges: [scorer('x'), scorer('y', LIAR)] })).ruling).toBe('abandoned');
  });

  it('lets nobody clear itself by another provider of its own operator', async () => {
    const accomplice = { ...scorer('accused', CHEAP), numericClass: classOf('fp32') };
    expect((await rulingOf(await cheap(), { judges: [accomplice] })).ruling).toBe('abandoned');
    const twoRoles = [{ ...accomplice, role: 'referee' as const }];
    expect((await rulingOf(await cheap(), { judges: twoRoles })).ruling).toBe('abandoned');
  });

  it.each([
    ['all of it', () => false],
    ['one position of those asked for', (position: number) => position !== 0],
  ])('upholds against who refuses %s', async (_, shows) => {
    const finding = await rulingOf(await cheap(), { judges: [REFEREE], shows });
    expect(finding).toMatchObject({ ruling: 'upheld', finding: { reason: 'evidence_refused' } });
  });

  it('does not call it a refusal where nobody has asked', async () => {
    const finding = await rulingOf(await cheap(), { judges: [REFEREE], shows: null });
    expect(finding).toEqual({ ruling: 'abandoned', finding: null });
  });

  it('upholds evidence that contradicts itself without any judge', async () => {
    const written = await cheap();
    const prefilled = { ...written, evidence: await score(HONEST, written) };
    for (const judges of [[], [scorer('x')], [REFEREE]]) {
      expect(await rulingOf(prefilled, { judges })).toMatchObject({
        ruling: 'upheld',
        finding: { reason: 'self_contradiction' },
      });
    }
  });

  it('convicts by a lying referee: that is what it is trusted for, and why attestations name it', async () => {
    const judges = [scorer('x', LIAR), { ...REFEREE, engine: LIAR }];
    expect((await rulingOf(await honest(), { judges })).ruling).toBe('upheld');
  });

  it('concludes nothing about uncalibrated classes: neither conviction nor acquittal', async () => {
    for (const [accused, judge] of [
      ['toy-1/cuda/fp32/kv-none/x', classOf('fp32')],
      [classOf('fp32'), 'toy-1/cpu/int8/kv-none/x'],
    ] as const) {
      const options = {
        numericClass: accused,
        judges: [
          { ...REFEREE, numericClass: judge },
          { ...scorer('x'), numericClass: judge },
        ],
      };
      expect(await rulingOf(await cheap(), options)).toEqual({ ruling: 'abandoned', finding: null });
      expect(await rulingOf(await honest(), options)).toEqual({ ruling: 'abandoned', finding: null });
    }
  });

  it('convicts nobody for one wrong token: rejected, not served, and yet abandoned', async () => {
    const start = await honest();
    const at = 20;
    const forged = start.evidence[at]!;
    const [other] = forged.top[1]!;
    const tokens = [...start.tokens.slice(0, at), other];
    const logit = forged.chosenLogit + 40 * LOGIT_SCALE;
    const lie = {
      ...forged,
      chosen: other,
      chosenLogit: logit,
      top: [[other, logit], ...forged.top.filter(([id]) => id !== other)] as typeof forged.top,
    };
    const written = { ...start, tokens, evidence: [...start.evidence.slice(0, at), lie], finish: 'cancelled' as const };
    expect(await rulingOf(written, { judges: [scorer('x'), REFEREE] })).toEqual({ ruling: 'abandoned', finding: null });
  });

  it('judges scores of a first part by that part', async () => {
    const finding = await rulingOf(await honest(), { judges: [{ ...scorer('x'), tokens: 16 }] });
    expect(finding.ruling).toBe('rejected');
  });

  it('never lets honest machines pay, whatever they sample by', async () => {
    for (const arithmetic of ['fp32', 'fp16'] as const) {
      const written = await writeOrder(machine(arithmetic, 'accused'));
      const options = { numericClass: classOf(arithmetic), judges: [scorer('x', LIAR), scorer('y'), REFEREE] };
      expect((await rulingOf(written, options)).ruling).toBe('rejected');
    }
  });
});

describe('findingOf what breaks the order', () => {
  const ends = (written: Written, tokens: number[], finish: Written['finish']): Written => ({
    ...written,
    tokens,
    evidence: tokens.map((chosen, i) => ({ ...(written.evidence[i] ?? written.evidence[0]!), chosen })),
    finish,
  });

  it('reads the shape again instead of believing the accusation', async () => {
    const written = await honest();
    const early = ends(written, written.tokens.slice(0, 4), 'stop');
    const options = { reason: 'shape:stop_without_eos' };
    expect(await rulingOf(early, options)).toMatchObject({
      ruling: 'upheld',
      finding: { reason: 'shape:stop_string_absent' },
    });
    expect(await rulingOf(written, options)).toEqual({ ruling: 'rejected', finding: null });
  });

  it('finds tokens past the end and ends that are called by another name', async () => {
    const written = await honest();
    const past = ends(written, [65, 0, 66, ...written.tokens].slice(0, MAX_TOKENS), 'length');
    expect(await rulingOf(past, { reason: 'shape:tokens_past_end' })).toMatchObject({
      finding: { reason: 'shape:tokens_past_end' },
    });
    const renamed = await bundleOf(written, {
      reason: 'shape:false_finish',
      finish: written.finish === 'stop' ? 'length' : 'stop',
    });
    expect(judged(renamed)).toMatchObject({ ruling: 'upheld', finding: { reason: 'shape:false_finish' } });
  });

  it('leaves it undecided for who has not the model', async () => {
    const bundle = await bundleOf(await honest(), { reason: 'shape:false_finish', finish: 'stop' });
    expect(judged(bundle, { ...COURT, text: null }).ruling).toBe('abandoned');
  });
});

describe('findingOf signed contradictions', () => {
  const signer = signerOf('accused');
  const { jobId } = jobOf('accused').ticket;
  const sealed = (commitment: `0x${string}`, by = signer, job = jobId) => ({
    commitment,
    signature: by.sign(digests.commitment(DOMAIN, { jobId: job, index: 0, commitment })),
  });
  const two = (first: ReturnType<typeof sealed>, second: ReturnType<typeof sealed>): Contradiction => ({
    kind: 'two_commitments',
    index: 0,
    first,
    second,
  });
  const equivocation = async (
    contradiction: Contradiction | null,
    fault: 'equivocation' | 'bad_opening' = 'equivocation',
  ) => judged(await bundleOf(await honest(), { fault, reason: 'two_commitments', contradiction, shows: null })).ruling;

  it('upholds two signed commitments for one chunk', async () => {
    expect(await equivocation(two(sealed(hashOf('a')), sealed(hashOf('b'))))).toBe('upheld');
  });

  it.each([
    ['nothing', null],
    ['one commitment twice', two(sealed(hashOf('a')), sealed(hashOf('a')))],
    ['one signed by somebody else', two(sealed(hashOf('a')), sealed(hashOf('b'), signerOf('other')))],
    ['one of another job', two(sealed(hashOf('a')), sealed(hashOf('b'), signer, hashOf('another job')))],
  ])('does not uphold %s', async (_, contradiction) => {
    expect(await equivocation(contradiction)).toBe('abandoned');
  });

  it('upholds an opening that does not hash to its commitment, under its own name only', async () => {
    const bundle = parseBundle(await bundleOf(await honest(), { shows: null }));
    const opening: Opening = { ...bundle.accused.openings[0]!, tokensHash: hashOf('other tokens') };
    const reveal = { opening, signature: signer.sign(digests.reveal(DOMAIN, opening)) };
    const unfit: Contradiction = { kind: 'opening_does_not_fit', sealed: sealed(hashOf('a')), before: null, reveal };
    expect(await equivocation(unfit, 'bad_opening')).toBe('upheld');
    expect(await equivocation(unfit, 'equivocation')).toBe('abandoned');
    const fits: Contradiction = { ...unfit, sealed: sealed(commitmentHash(signer.address, opening)) };
    expect(await equivocation(fits, 'bad_opening')).toBe('abandoned');
  });
});
