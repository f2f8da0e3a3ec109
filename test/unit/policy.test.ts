/** Verification policy: precedence, defaults, refusals and canonical forms. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ProtocolError } from '#protocol/errors';
import {
  agreeOfThreshold,
  defaultAgree,
  type Policy,
  policyOfBody,
  policyOfText,
  policyText,
  resolvePolicy,
} from '#protocol/policy';
import { policyCanonicalJson, policyJson, policyJsonSchema, policyOfJson } from '#protocol/policy-json';
import { FILTER_FIELDS, isAdmitted, type ProviderFilter } from '#protocol/provider-filter';

const gateway = policyOfText('quorum; n=3');

function refusal(run: () => unknown): { code: string; param: string | null } {
  try {
    run();
  } catch (error) {
    if (error instanceof ProtocolError) return { code: error.code, param: error.param };
    throw error;
  }
  throw new Error('nothing was refused');
}

test('body stands before header, header before key, key before gateway', () => {
  const key = policyOfText('single');
  const header = 'quorum; n=5';
  expect(resolvePolicy({ body: { n: 7 }, header, key, gateway }).n).toBe(7);
  expect(resolvePolicy({ body: null, header, key, gateway }).n).toBe(5);
  expect(resolvePolicy({ header: '  ', key, gateway }).mode).toBe('single');
  expect(resolvePolicy({ key: null, gateway })).toEqual(gateway);
});

test('a source decides as a whole: fields of a later source do not leak into it', () => {
  expect(resolvePolicy({ body: 'single', header: 'quorum; n=5; release=eager', gateway })).toEqual({
    mode: 'single',
    n: 1,
    agree: 1,
    threshold: null,
    release: 'verified',
    onInconclusive: 'error',
    weight: 'seat',
    maxCostNano: null,
    filter: {},
  });
});

test('a quorum of one is single, because one seat agrees with nobody', () => {
  expect(policyOfBody({ mode: 'quorum', n: 1 })).toEqual(policyOfBody('single'));
  const attested = { ...policyJson(policyOfBody('single')), mode: 'quorum' };
  expect(policyJsonSchema.safeParse(attested).success).toBe(false);
});

test('object, string and header say the same thing', () => {
  const wanted = policyOfBody({ mode: 'quorum', n: 5, agree: 4, release: 'eager', on_inconclusive: 'best_effort' });
  const text = 'quorum; n=5; agree=4; release=eager; on_inconclusive="best_effort"';
  expect(policyOfText(text)).toEqual(wanted);
  expect(policyOfBody(text)).toEqual(wanted);
});

test.each([
  [1, 1],
  [2, 2],
  [3, 3],
  [4, 3],
  [5, 4],
  [6, 5],
  [7, 5],
  [15, 11],
])('of %i seats %i must agree when nothing is said', (n, agree) => {
  expect(defaultAgree(n)).toBe(agree);
  expect(policyOfBody({ n }).agree).toBe(agree);
});

test.each([
  [0.67, 3, 2],
  [0.66, 3, 2],
  [0.68, 3, 3],
  [0.34, 3, 1],
  [0.35, 3, 2],
  [1, 15, 15],
  [0.5, 4, 2],
  [0.5, 5, 3],
  [0.001, 5, 1],
])('threshold %f of %i seats is %i', (threshold, n, agree) => {
  expect(agreeOfThreshold(threshold, n)).toBe(agree);
  expect(policyOfBody({ n, threshold })).toMatchObject({ agree, threshold });
});

test.each([
  [{ mode: 'optimistic' }, 'unsupported_parameter', 'verification.mode'],
  [{ mode: 'audited', n: 3 }, 'invalid_policy', 'verification.n'],
  [{ mode: 'audited', audit_rate: 0 }, 'invalid_policy', 'verification.audit_rate'],
  [{ mode: 'audited', audit_rate: 1.5 }, 'invalid_policy', 'verification.audit_rate'],
  [{ mode: 'audited', audit_rate: 0.0001 }, 'invalid_policy', 'verification.audit_rate'],
  [{ mode: 'audited', evidence: 'full' }, 'invalid_policy', 'verification.evidence'],
  [{ mode: 'proved' }, 'unsupported_parameter', 'verification.mode'],
  [{ mode: 'trustme' }, 'invalid_policy', 'verification.mode'],
  [{ weight: 'stake' }, 'unsupported_parameter', 'verification.weight'],
  [{ audit_rate: 0.1 }, 'invalid_policy', 'verification.audit_rate'],
  [{ max_cost: '1.5' }, 'invalid_policy', 'verification.max_cost'],
  [{ max_cost: -1 }, 'invalid_policy', 'verification.max_cost'],
  [{ max_cost: 2 ** 60 }, 'invalid_policy', 'verification.max_cost'],
  [{ max_cost: '9223372036854775808' }, 'invalid_policy', 'verification.max_cost'],
  [{ allow: { regions: ['eu'] } }, 'invalid_policy', 'verification'],
  [{ allow_regions: [] }, 'invalid_policy', 'verification.allow_regions'],
  [{ allow_regions: [7] }, 'invalid_policy', 'verification.allow_regions'],
  [{ allow_regions: { eu: true } }, 'invalid_policy', 'verification.allow_regions'],
  [{ deny_operators: ['x'.repeat(257)] }, 'invalid_policy', 'verification.deny_operators'],
  [{ deny_operators: ['\ud800'] }, 'invalid_policy', 'verification.deny_operators'],
  [
    { deny_operators: Array.from({ length: 33 }, (_, i) => String(i)) },
    'invalid_policy',
    'verification.deny_operators',
  ],
  [{ deny_operators: Array.from({ length: 8 }, (_, i) => `${i}`.repeat(250)) }, 'invalid_policy', 'verification'],
  ['quorum; allow_regions="eu,,us"', 'invalid_policy', 'verification.allow_regions'],
  ['quorum; allow_regions="%"', 'invalid_policy', 'verification.allow_regions'],
  [{ n: 0 }, 'invalid_policy', 'verification.n'],
  [{ n: 16 }, 'invalid_policy', 'verification.n'],
  [{ n: 2.5 }, 'invalid_policy', 'verification.n'],
  [{ n: '3' }, 'invalid_policy', 'verification.n'],
  [{ n: 3, agree: 4 }, 'invalid_policy', 'verification.agree'],
  [{ agree: 0 }, 'invalid_policy', 'verification.agree'],
  [{ mode: 'single', n: 3 }, 'invalid_policy', 'verification.n'],
  [{ agree: 2, threshold: 0.6 }, 'invalid_policy', 'verification.threshold'],
  [{ threshold: 0 }, 'invalid_policy', 'verification.threshold'],
  [{ threshold: 1.01 }, 'invalid_policy', 'verification.threshold'],
  [{ release: 'now' }, 'invalid_policy', 'verification.release'],
  [{ on_inconclusive: 'shrug' }, 'invalid_policy', 'verification.on_inconclusive'],
  [{ onInconclusive: 'error' }, 'invalid_policy', 'verification'],
  [[], 'invalid_policy', 'verification'],
  [7, 'invalid_policy', 'verification'],
  ['quorum; n', 'invalid_policy', 'verification.n'],
  ['quorum, single', 'invalid_policy', 'verification'],
  ['quorum; n=3; n=5', 'invalid_policy', 'verification'],
  ['quorum; mode=single', 'invalid_policy', 'verification.mode'],
  ['', 'invalid_policy', 'verification'],
  [`quorum; n=3;${' '.repeat(2100)}agree=2`, 'invalid_policy', 'verification'],
])('%j is refused as %s at %s', (body, code, param) => {
  expect(refusal(() => policyOfBody(body))).toEqual({ code, param });
});

test('errors of the header name the header', () => {
  expect(refusal(() => resolvePolicy({ header: 'quorum; n=99', gateway })).param).toBe('assay-verification.n');
});

/** Anything that may be an operator's name, commas, quotes, spaces and other scripts included. */
const names = fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 });
const policies: fc.Arbitrary<Policy> = fc
  .record({
    n: fc.integer({ min: 1, max: 15 }),
    share: fc.integer({ min: 1, max: 1000 }),
    byThreshold: fc.boolean(),
    single: fc.boolean(),
    release: fc.constantFrom('verified' as const, 'eager' as const),
    on_inconclusive: fc.constantFrom('error' as const, 'best_effort' as const),
    max_cost: fc.option(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }).map(String), { nil: undefined }),
    ...Object.fromEntries(FILTER_FIELDS.map((field) => [field, fc.option(names, { nil: undefined })])),
  })
  .map(({ n, share, byThreshold, single, ...rest }) => {
    if (single) return policyOfBody({ mode: 'single', ...rest });
    const count = byThreshold ? { threshold: share / 1000 } : { agree: 1 + (share % n) };
    return policyOfBody({ mode: 'quorum', n, ...count, ...rest });
  });

test('text and JSON forms are read back as the same policy', () => {
  fc.assert(
    fc.property(policies, (policy) => {
      expect(policyOfText(policyText(policy))).toEqual(policy);
      expect(policyOfJson(policyJsonSchema.parse(JSON.parse(policyCanonicalJson(policy))))).toEqual(policy);
    }),
  );
});

test('no text makes the parser fail otherwise than by refusal', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.jsonValue()), (body) => {
      try {
        policyOfBody(body);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
  );
});

test('the canonical forms are fixed', () => {
  const policy = policyOfBody('quorum; n=5; threshold=0.67');
  expect(policyText(policy)).toBe('quorum;n=5;threshold=0.67;release=verified;on_inconclusive=error;weight=seat');
  expect(policyCanonicalJson(policy)).toBe(
    '{"agree":4,"mode":"quorum","n":5,"on_inconclusive":"error","release":"verified","threshold":0.67,"weight":"seat"}',
  );
});

test('an attested policy whose agree does not follow from its threshold is refused', () => {
  const attested = policyJson(policyOfBody({ n: 5, threshold: 0.67 }));
  expect(policyJsonSchema.safeParse(attested).success).toBe(true);
  expect(policyJsonSchema.safeParse({ ...attested, agree: 1 }).success).toBe(false);
  expect(policyJsonSchema.safeParse({ ...attested, threshold: undefined, agree: 6 }).success).toBe(false);
});

test('a cost and lists of providers are said alike in body, text and attestation, and have one form', () => {
  const wanted = {
    max_cost: '2500000',
    allow_regions: ['eu', 'us'],
    deny_operators: ['Mallory, Inc.'],
  };
  const policy = policyOfBody({ ...wanted, allow_regions: ['us', 'eu', 'us'] });
  expect(policyJson(policy)).toMatchObject(wanted);
  expect(policyOfText('quorum; max_cost=2500000; allow_regions="us, eu"; deny_operators="Mallory%2C%20Inc."')).toEqual(
    policy,
  );
  expect(policyText(policy)).toContain('allow_regions="eu,us";deny_operators="Mallory%2C%20Inc."');
  expect(policyJsonSchema.safeParse({ ...policyJson(policy), allow_regions: ['us', 'eu'] }).success).toBe(false);
});

test.each<[ProviderFilter, boolean]>([
  [{}, true],
  [{ allow_regions: ['eu', 'us'] }, true],
  [{ allow_regions: ['us'] }, false],
  [{ deny_regions: ['us'] }, true],
  [{ deny_regions: ['eu'] }, false],
  [{ allow_operators: ['alice'], deny_operators: ['alice'] }, false],
  [{ allow_operators: ['alice'], deny_classes: ['cpu'] }, false],
  [{ allow_classes: ['cpu'], allow_operators: ['alice', 'bob'] }, true],
])('%j admits alice in the eu on a cpu: %s', (filter, admitted) => {
  expect(isAdmitted(filter, { operator: 'alice', region: 'eu', numericClass: 'cpu' })).toBe(admitted);
});

test('a provider of whom the registry knows no region is kept away by every list of regions', () => {
  const unknown = { operator: 'alice', region: undefined, numericClass: 'cpu' };
  expect(isAdmitted({ allow_regions: ['eu'] }, unknown)).toBe(false);
  expect(isAdmitted({ deny_regions: ['us'] }, unknown)).toBe(false);
  expect(isAdmitted({ deny_classes: ['gpu'] }, unknown)).toBe(true);
});
