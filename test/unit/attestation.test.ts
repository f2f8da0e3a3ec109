import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ATTESTATION_LENGTH_MAX,
  claimsHash,
  claimsOf,
  compactAttestation,
  parseAttestation,
  type StatementWire,
  sealOf,
  statementHash,
  zStatement,
} from '#protocol/attestation';
import { canonicalJson } from '#protocol/canonical';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { sha256, toHex, utf8 } from '#protocol/hash';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { digests } from '#protocol/typed';
import { VERDICTS } from '#protocol/verdict';

// The same cases on every run.
fc.configureGlobal({ seed: 10 });

/** A well-formed statement, made by the independent script. */
const STATEMENT = (
  JSON.parse(readFileSync(new URL('../vectors/attestation.json', import.meta.url), 'utf8')) as {
    statementHash: { input: StatementWire }[];
  }
).statementHash[0]!.input;
const SIGNER = nativeSigner(sha256(utf8('gateway')));
const COMPACT = compactAttestation(LOCAL_DOMAIN, SIGNER, STATEMENT);
const [, BODY, SIGNATURE] = COMPACT.split('.') as [string, string, string];

function signerOf(compact: string): string | null {
  const opened = parseAttestation(compact);
  if (opened === null) return null;
  return recoverNative(digests.attestation(LOCAL_DOMAIN, sealOf(LOCAL_DOMAIN, opened.wire)), opened.signature);
}
const compactOf = (text: string | Uint8Array) => `v1.${Buffer.from(text).toString('base64url')}.${SIGNATURE}`;

describe('the compact form', () => {
  it('comes back as it was signed', () => {
    const opened = parseAttestation(COMPACT)!;
    expect(opened.wire).toEqual(STATEMENT);
    expect(opened.statement).toEqual(zStatement.parse(STATEMENT));
    expect(signerOf(COMPACT)).toBe(SIGNER.address);
    expect(statementHash(opened.wire)).toBe(statementHash(STATEMENT));
  });

  it('survives any text that a statement may hold', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(text, fc.array(text, { maxLength: 5 }), (requestId, unverified) => {
        const statement = { ...STATEMENT, requestId, unverified };
        expect(parseAttestation(compactAttestation(LOCAL_DOMAIN, SIGNER, statement))?.wire).toEqual(statement);
      }),
      { numRuns: 50 },
    );
  });

  it('is refused, or signed by nobody known, with any one character changed', () => {
    // Every place near both ends and the dots, every 29th between: each parse reads the whole statement.
    const near = (at: number) => at < 40 || at > COMPACT.length - 130 || at % 29 === 0;
    for (let at = 0; at < COMPACT.length; at++) {
      if (!near(at)) continue;
      for (const digit of ['A', 'w', '_']) {
        if (COMPACT[at] === digit) continue;
        const changed = `${COMPACT.slice(0, at)}${digit}${COMPACT.slice(at + 1)}`;
        expect(signerOf(changed), `${digit} at ${at}`).not.toBe(SIGNER.address);
      }
    }
  });

  it('is refused with any other JSON text of the same statement', () => {
    const text = canonicalJson(STATEMENT);
    expect(parseAttestation(compactOf(text))).not.toBeNull();
    const others = [
      JSON.stringify(STATEMENT, null, 1),
      JSON.stringify(Object.fromEntries(Object.entries(STATEMENT).sort().reverse())),
      ` ${text}`,
      `${text}\n`,
      `\ufeff${text}`,
      text.replace('"version":1', '"version":1.0'),
      text.replace('"version":1', '"version":1e0'),
      text.replace('"attempt":0', '"attempt":-0'),
      text.replace('"version":1', '"version":2,"version":1'),
      text.replace('minnow', '\\u006dinnow'),
    ];
    for (const other of others) {
      expect(other).not.toBe(text);
      expect(parseAttestation(compactOf(other)), other.slice(0, 30)).toBeNull();
    }
  });

  it.each([
    ['', 'empty'],
    [`v2.${BODY}.${SIGNATURE}`, 'another version'],
    [`v1.${BODY}`, 'no signature'],
    [`${COMPACT}.`, 'a fourth part'],
    [` ${COMPACT}`, 'a space before'],
    [`${COMPACT}\n`, 'a line feed after'],
    [`v1.${BODY}.${SIGNATURE.slice(0, -2)}`, 'a short signature'],
    [`v1.${BODY}.${SIGNATURE}A`, 'a long signature'],
    [`v1.${BODY.replaceAll('-', '+').replaceAll('_', '/')}=.${SIGNATURE}`, 'another base64'],
    [`v1..${SIGNATURE}`, 'no statement'],
  ])('is refused: %#', (compact, why) => {
    expect(parseAttestation(compact), why).toBeNull();
  });

  it('is refused above its length, however sound it is', () => {
    // 400,000 ids of ten digits and a comma make 4.4 MB, and 5.9 MB as base64.
    const outputIds = new Array<number>(400_000).fill(2 ** 32 - 1);
    const long = compactAttestation(LOCAL_DOMAIN, SIGNER, { ...STATEMENT, outputIds });
    expect(long.length).toBeGreaterThan(ATTESTATION_LENGTH_MAX);
    expect(parseAttestation(long)).toBeNull();
    const short = { ...STATEMENT, outputIds: outputIds.slice(0, 100_000) };
    expect(parseAttestation(compactAttestation(LOCAL_DOMAIN, SIGNER, short))).not.toBeNull();
  });

  it('is refused when the statement is ill-formed UTF-8', () => {
    const bytes = utf8(canonicalJson(STATEMENT));
    bytes[bytes.indexOf(0x6d)] = 0xff;
    expect(parseAttestation(compactOf(bytes))).toBeNull();
  });
});

describe('the seal', () => {
  it('changes with every member of the statement', () => {
    const seal = (statement: StatementWire) =>
      toHex(digests.attestation(LOCAL_DOMAIN, sealOf(LOCAL_DOMAIN, statement)));
    const before = seal(STATEMENT);
    const other = `0x${'ab'.repeat(32)}` as const;
    const changes: Partial<StatementWire>[] = [
      { requestId: 'other' },
      { attempt: 1 },
      { gateway: `0x${'ab'.repeat(20)}` },
      { request: { ...STATEMENT.request, promptTokens: 4 } },
      { requestHash: other },
      { bodyHash: other },
      { clientNonce: 'nonce' },
      { policy: { ...STATEMENT.policy, agree: 2 } },
      { draw: { ...STATEMENT.draw, index: 1 } },
      { waves: [{ ...STATEMENT.waves[0]!, padSeed: other }] },
      { served: `0x${'ab'.repeat(20)}` },
      { outputIds: [7, 9, 3] },
      { verdict: 'agreed' },
      { agreement: { needed: 0, standing: 1, of: 1 } },
      { faults: [{ provider: STATEMENT.served, fault: 'timeout', disputeId: null }] },
      { unverified: [] },
      { contentHash: other },
      { price: { quoteNano: '1000', chargedNano: '0' } },
      { logIndex: 3 },
      { issuedAtMs: 1 },
    ];
    const seals = changes.map((change) => seal({ ...STATEMENT, ...change }));
    expect(new Set([before, ...seals]).size).toBe(changes.length + 1);
  });

  it('names the verdict by its place in the closed list', () => {
    const verdicts = VERDICTS.map((verdict) => sealOf(LOCAL_DOMAIN, { ...STATEMENT, verdict }).verdict);
    expect(verdicts).toEqual([0, 1, 2, 3, 4]);
  });

  it('covers the claims in their order and number', () => {
    const claims = claimsOf(zStatement.parse(STATEMENT).waves);
    expect(claims).toHaveLength(1);
    const second = { ...claims[0]!, finish: 2 };
    const lists = [[], claims, [second], [claims[0]!, second], [second, claims[0]!]];
    expect(new Set(lists.map((list) => claimsHash(LOCAL_DOMAIN, list))).size).toBe(lists.length);
    expect(claimsHash({ ...LOCAL_DOMAIN, chainId: 1n }, claims)).not.toBe(claimsHash(LOCAL_DOMAIN, claims));
  });
});
