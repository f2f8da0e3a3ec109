import { ed25519 } from '@noble/curves/ed25519.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import {
  checkpointHash,
  type LogKeys,
  type LogSigner,
  logEntryText,
  logLeaf,
  openCheckpoint,
  signCheckpoint,
  zLogEntry,
} from '#protocol/log';
import { leafHash } from '#protocol/merkle';
import { nativeSigner, recoverNative } from '#protocol/signer-native';

// The same cases on every run.
fc.configureGlobal({ seed: 9 });

function logSigner(name: string, origin = 'gateway.example/log'): LogSigner {
  const secret = sha256(utf8(`${name} note`));
  const chain = nativeSigner(sha256(utf8(`${name} chain`)));
  return {
    origin,
    ed25519: toHex(ed25519.getPublicKey(secret)),
    address: chain.address,
    signNote: (message) => ed25519.sign(message, secret),
    signDigest: (digest) => chain.sign(digest),
  };
}
const LOG = logSigner('log');
const STRANGER = logSigner('stranger');
const CHECKPOINT = { size: 42, root: toHex(sha256(utf8('root'))) };
const NOTE = signCheckpoint(LOCAL_DOMAIN, LOG, CHECKPOINT);
const open = (note: string, keys: LogKeys = LOG, domain = LOCAL_DOMAIN) =>
  openCheckpoint(domain, keys, note, recoverNative);
/** Body, empty line, the Ed25519 line, the EIP-712 line. */
const [body, signatures] = [NOTE.slice(0, NOTE.indexOf('\n\n') + 1), NOTE.slice(NOTE.indexOf('\n\n') + 2).split('\n')];
const noteOf = (...lines: readonly string[]) => `${body}\n${lines.map((line) => `${line}\n`).join('')}`;

describe('a checkpoint', () => {
  it('comes back as it was signed, for any size, root and origin', () => {
    const root = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes): Hash => toHex(bytes));
    const origin = fc.stringMatching(/^[a-z0-9./é-]{1,40}$/);
    fc.assert(
      fc.property(fc.maxSafeNat(), root, origin, (size, value, name) => {
        const signer = logSigner('log', name);
        const note = signCheckpoint(LOCAL_DOMAIN, signer, { size, root: value });
        expect(open(note, signer)).toEqual({ size, root: value });
      }),
      { numRuns: 20 },
    );
  });

  it('is refused without either signature', () => {
    expect(open(noteOf(signatures[0]!, signatures[1]!))).toEqual(CHECKPOINT);
    expect(open(noteOf(signatures[0]!))).toBeNull();
    expect(open(noteOf(signatures[1]!))).toBeNull();
    expect(open(noteOf())).toBeNull();
    expect(open(noteOf(signatures[0]!, signatures[0]!))).toBeNull();
  });

  it('is refused when either signature is somebody else’s, also under the right key id', () => {
    const forger = (part: Partial<LogSigner>) => signCheckpoint(LOCAL_DOMAIN, { ...LOG, ...part }, CHECKPOINT);
    expect(open(forger({ signNote: STRANGER.signNote }))).toBeNull();
    expect(open(forger({ signDigest: STRANGER.signDigest }))).toBeNull();
    expect(open(signCheckpoint(LOCAL_DOMAIN, STRANGER, CHECKPOINT))).toBeNull();
  });

  it('is refused as that of another log, another key or another domain', () => {
    expect(open(NOTE, { ...LOG, origin: 'other.example' })).toBeNull();
    expect(open(NOTE, { ...LOG, ed25519: STRANGER.ed25519 })).toBeNull();
    expect(open(NOTE, { ...LOG, address: STRANGER.address })).toBeNull();
    expect(open(NOTE, LOG, { ...LOCAL_DOMAIN, chainId: 1n })).toBeNull();
    expect(open(signCheckpoint(LOCAL_DOMAIN, logSigner('log', 'other.example'), CHECKPOINT))).toBeNull();
  });

  it('is refused when its body was signed for another size or root', () => {
    const other = signCheckpoint(LOCAL_DOMAIN, LOG, { ...CHECKPOINT, size: 43 });
    const [, otherLines] = other.split('\n\n');
    expect(open(`${body}\n${otherLines}`)).toBeNull();
  });

  it('says something else, or nothing, with any one character changed', () => {
    for (let at = 0; at < NOTE.length; at++) {
      const changed = `${NOTE.slice(0, at)}${NOTE[at] === 'A' ? 'B' : 'A'}${NOTE.slice(at + 1)}`;
      expect(open(changed), `character ${at}`).toBeNull();
    }
  });

  it('is refused with any one character left out', () => {
    for (let at = 0; at < NOTE.length; at++) {
      expect(open(NOTE.slice(0, at) + NOTE.slice(at + 1)), `character ${at}`).toBeNull();
    }
  });

  it('may carry the lines of witnesses, up to 16 lines in all', () => {
    const witness = `\u2014 witness.example ${Buffer.alloc(68, 7).toString('base64')}`;
    const lines = (count: number) => noteOf(...signatures.slice(0, 2), ...new Array<string>(count).fill(witness));
    expect(open(lines(14))).toEqual(CHECKPOINT);
    expect(open(lines(15))).toBeNull();
    expect(open(noteOf(witness, signatures[1]!, signatures[0]!))).toEqual(CHECKPOINT);
  });

  it('is refused above 2^53 - 1 entries, where two sizes would be one number', () => {
    const note = signCheckpoint(LOCAL_DOMAIN, LOG, { ...CHECKPOINT, size: 2 ** 53 });
    expect(open(note)).toBeNull();
    expect(open(signCheckpoint(LOCAL_DOMAIN, LOG, { ...CHECKPOINT, size: 2 ** 53 - 1 }))).not.toBeNull();
  });

  it('is not taken from arbitrary text', () => {
    fc.assert(fc.property(fc.string(), (text) => open(text) === null));
  });

  it('is known by the hash of what was signed', () => {
    expect(checkpointHash(LOG.origin, CHECKPOINT)).toBe(toHex(sha256(utf8(body))));
    expect(checkpointHash('other.example', CHECKPOINT)).not.toBe(checkpointHash(LOG.origin, CHECKPOINT));
  });
});

describe('an entry', () => {
  const entry = zLogEntry.parse({
    type: 'answer',
    requestId: 'chatcmpl-1',
    epoch: 1,
    drawIndex: 2,
    statementHash: CHECKPOINT.root,
    atMs: 3,
  });

  it('is logged by its canonical text, whatever the order of its members', () => {
    const turned = Object.fromEntries(Object.entries(entry).reverse());
    expect(logEntryText(zLogEntry.parse(turned))).toBe(logEntryText(entry));
    expect(logLeaf(entry)).toBe(toHex(leafHash(utf8(logEntryText(entry)))));
  });

  it.each<[string, Record<string, unknown>]>([
    ['an unknown member, where content could hide', { prompt: 'secret' }],
    ['an unknown type', { type: 'note' }],
    ['a text that has no UTF-8 form', { requestId: '\ud800' }],
    ['an id of 129 characters', { requestId: 'x'.repeat(129) }],
    ['a fractional index', { drawIndex: 0.5 }],
    ['an index above uint32', { drawIndex: 2 ** 32 }],
    ['an upper-case hash', { statementHash: `0x${'AB'.repeat(32)}` }],
  ])('is refused with %s', (_, change) => {
    expect(zLogEntry.safeParse({ ...entry, ...change }).success).toBe(false);
  });
});
