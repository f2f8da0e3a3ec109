/** Who may be paid out of a slash, by the attestation that the client holds (spec-chain.md C9.8). */
import { expect, test } from 'vitest';
import type { Statement } from '#protocol/attestation';
import type { Address, Hash } from '#protocol/hash';
import { outputHash } from '#protocol/request';
import type { DisputeBundle } from '../../gateway/dispute/bundle.ts';
import { type DivisionGrounds, divisionProblem, rightByStatement } from '../../gateway/dispute/division.ts';

const of = (byte: string): Address => `0x${byte.repeat(20)}`;
const [LIAR, FIRST, SECOND, COPY, SCORER, REFEREE, CLIENT, GATEWAY] = [
  '01',
  '02',
  '03',
  '04',
  '05',
  '06',
  '07',
  '08',
].map(of);
const [REQUEST, OTHER]: Hash[] = [`0x${'aa'.repeat(32)}`, `0x${'bb'.repeat(32)}`];
const LIES = [1, 2];
const NOBODY = of('00');

const member = (provider: Address, standing: string, tokens: readonly number[]) => ({
  ...{ provider, standing },
  claim: { value: { transcriptHash: outputHash(tokens) } },
});
/** Only what is read. */
const STATEMENT = {
  requestHash: REQUEST,
  waves: [
    {
      members: [
        member(LIAR!, 'rejected', LIES),
        member(FIRST!, 'counted', [1, 3]),
        member(SECOND!, 'equivalent', [1, 4]),
        member(COPY!, 'counted', LIES),
      ],
    },
  ],
  scores: [
    { provider: SCORER, role: 'member' },
    { provider: REFEREE, role: 'referee' },
    { provider: COPY, role: 'member' },
  ],
} as unknown as Statement;
const accused = { provider: LIAR!, requestHash: REQUEST!, tokens: LIES };

test('those who counted or scored were right, but not whoever gave the wrong tokens too, the referee, or the accused', () => {
  expect([...rightByStatement(STATEMENT, accused, 'wrong_output')]).toEqual([FIRST, SECOND, SCORER]);
  // Evidence can be bad under the right tokens.
  expect([...rightByStatement(STATEMENT, accused, 'bad_evidence')]).toEqual([FIRST, SECOND, COPY, SCORER]);
  expect([...rightByStatement(null, accused, 'wrong_output')]).toEqual([]);
});

test('an accused of an attempt that the attestation does not show leaves all of its choices to look at', () => {
  const before = { ...accused, requestHash: OTHER! };
  expect(rightByStatement(STATEMENT, before, 'wrong_output').size).toBe(3);
});

const bundle = {
  fault: 'wrong_output',
  accused: { provider: LIAR, ticket: { requestHash: REQUEST }, tokens: LIES },
} as unknown as DisputeBundle;
const GROUNDS: DivisionGrounds = {
  ...{ statement: STATEMENT, bundle, barred: [LIAR!, GATEWAY!], charged: 10n, hasPaid: true },
  accounts: new Map([FIRST!, SECOND!, COPY!].map((provider) => [provider, provider])),
};

test('a division holds where the client gets no more than it paid, and everybody named was right', () => {
  const holds = { client: CLIENT!, refund: 10n, right: [FIRST!, SECOND!] };
  expect(divisionProblem(holds, GROUNDS)).toBeNull();
  expect(divisionProblem({ client: NOBODY, refund: 0n, right: [] }, { ...GROUNDS, statement: null })).toBeNull();
  const refused: readonly [Partial<typeof holds>, Partial<DivisionGrounds>, string][] = [
    [{ refund: 11n }, {}, 'more than the client was charged'],
    [{}, { statement: null }, 'more than the client was charged'],
    [{ refund: 0n }, {}, 'a refund needs a client'],
    [{ client: GATEWAY! }, {}, 'for the accused, or for the gateway'],
    [{}, { hasPaid: false }, 'paid nothing out of an escrow'],
    [{ right: [COPY!] }, {}, `${COPY} is named as right`],
    [{ right: [SCORER!] }, {}, `${SCORER} is named as right`],
    [{ right: [FIRST!] }, { barred: [FIRST!] }, `${FIRST} is named as right`],
  ];
  for (const [change, grounds, why] of refused) {
    expect(divisionProblem({ ...holds, ...change }, { ...GROUNDS, ...grounds })).toContain(why);
  }
});
