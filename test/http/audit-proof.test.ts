/** `assay audit-proof` on real answers, and what a gateway that cheats with its audits would have to show (SPEC.md §8.2). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAttestation, type Statement, type StatementWire, statementHash } from '#protocol/attestation';
import { type PromisedAnswer, proveAudits } from '#protocol/audit-proof';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { fromHex, toHex } from '#protocol/hash';
import { type LogEntry, logEntryBytes, signCheckpoint, zLogEntry } from '#protocol/log';
import { type LogCopy, type OpenLog, openLogCopy } from '#protocol/log-copy';
import { leafHash, merkleRoot } from '#protocol/merkle';
import { recoverNative } from '#protocol/signer-native';
import { verifyResponse } from '#protocol/verify';
import { runAuditProof } from '../../gateway/cli/audit-proof.ts';
import { testLogSigner } from '../fixtures/network.ts';
import { signerOf, startToyNetwork, type ToyNetwork } from '../fixtures/toy-network.ts';

const WITHIN_MS = 3_600_000;
const ANSWERS = 10;
const ASKED = { temperature: 1, logit_bias: { 0: -100 }, max_tokens: 12, verification: 'audited' };
const KEYS = testLogSigner(signerOf('gateway'));

let network: ToyNetwork;
let saved: string[];
let entries: LogEntry[];
const folder = mkdtempSync(path.join(tmpdir(), 'assay-audit-proof-'));

beforeAll(async () => {
  const audits = { ratePpm: 500_000, regeneratePpm: 300_000, delayMs: 0, withinMs: WITHIN_MS };
  network = await startToyNetwork({ members: 5, limits: { audits } });
  saved = [];
  for (let at = 0; at < ANSWERS; at++) {
    saved.push((await network.ask(`question ${at}`, { ...ASKED, seed: at, n: at === 0 ? 2 : 1 })).saved);
    await network.gateway.settled();
  }
  await network.gateway.epochs.begin(0);
  const { data } = await (async () => {
    await network.call('/v1/log/checkpoint');
    return (await (await network.call('/v1/log/entries')).json()) as { data: { entry: unknown }[] };
  })();
  entries = data.map(({ entry }) => zLogEntry.parse(entry));
});
afterAll(async () => {
  await network.stop();
  rmSync(folder, { recursive: true });
});

function copyOf(all: readonly LogEntry[]): LogCopy {
  const root = toHex(merkleRoot(all.map((entry) => leafHash(logEntryBytes(entry)))));
  return { checkpoint: signCheckpoint(LOCAL_DOMAIN, KEYS, { size: all.length, root }), entries: [...all] };
}

/** A log that a gateway could sign: these entries, whatever they say. */
function logOf(all: readonly LogEntry[]): OpenLog {
  const opened = openLogCopy(copyOf(all), LOCAL_DOMAIN, KEYS, recoverNative);
  if (typeof opened === 'string') throw new Error(opened);
  return opened;
}

function promisedBy(text: string): PromisedAnswer {
  const { assay } = JSON.parse(text) as { assay: { attestation: string; receipt: { snapshot: never } } };
  const { statement, wire } = parseAttestation(assay.attestation)!;
  return { statement, wire, snapshot: assay.receipt.snapshot };
}

/** The last answer with an audit that the draw has picked. */
function audited(kind?: 'score' | 'regenerate') {
  for (const text of [...saved].reverse()) {
    const promised = promisedBy(text);
    const at = entries.findIndex(
      (entry) =>
        entry.type === 'audited' &&
        entry.requestId === promised.statement.requestId &&
        (kind === undefined || entry.kind === kind),
    );
    if (at >= 0) return { promised, at, entry: entries[at] as Extract<LogEntry, { type: 'audited' }> };
  }
  throw new Error('no answer was audited');
}

/** A log goes on: an entry of long after everything. */
const LATER: LogEntry = {
  type: 'deadline',
  modelDigest: `0x${'11'.repeat(32)}`,
  numericClass: 'toy',
  paceMicros: 1,
  load: 1,
  atMs: 9e12,
};
const statuses = (log: OpenLog, answer: PromisedAnswer) =>
  proveAudits(log, answer).map(({ status, detail }) => [status, detail]);

/** The gateway signs what it likes: the statement with something else in it, logged as such. */
function restated(answer: PromisedAnswer, change: (wire: StatementWire) => StatementWire) {
  const wire = change(structuredClone(answer.wire));
  const statement = { ...answer.statement, draw: { ...answer.statement.draw, index: wire.draw.index } } as Statement;
  const changed = entries.map((entry, at): LogEntry => {
    if (at !== wire.logIndex || entry.type !== 'answer') return entry;
    return { ...entry, drawIndex: wire.draw.index, statementHash: statementHash(wire) };
  });
  return { answer: { ...answer, wire, statement }, changed };
}

describe('the item of the verifier', () => {
  const itemOf = (text: string, log?: LogCopy) =>
    verifyResponse({ response: text, ...(log ? { log } : {}), recover: recoverNative }).items.find(
      ({ name }) => name === 'audits',
    );

  test('is proved of every answer by the whole log, with how many of its choices were drawn', () => {
    const log = copyOf([...entries, LATER]);
    for (const text of saved) {
      const drawn = proveAudits(logOf([...entries, LATER]), promisedBy(text)).filter(({ status }) => status === 'done');
      const choices = text === saved[0] ? 2 : 1;
      expect(itemOf(text, log)).toMatchObject({
        status: 'proved',
        detail: `500000 of a million choices; ${drawn.length} of ${choices} drawn, all of them in the log`,
      });
    }
  });

  test('is pending without a log, while the key is not opened, and while an audit that was drawn has time left', () => {
    for (const text of saved) expect(itemOf(text)).toMatchObject({ status: 'pending' });
    const opened = entries.findIndex(({ type }) => type === 'audit');
    for (const text of saved)
      expect(itemOf(text, copyOf(entries.slice(0, opened)))).toMatchObject({ status: 'pending' });
    const { promised, at } = audited();
    const text = saved.find((one) => promisedBy(one).statement.requestId === promised.statement.requestId)!;
    const without = entries.map((entry, i): LogEntry => (i === at ? { ...LATER, atMs: entry.atMs } : entry));
    expect(itemOf(text, copyOf(without))).toMatchObject({ status: 'pending' });
    // Once it is late it is missing.
    expect(itemOf(text, copyOf([...without, LATER]))).toMatchObject({ status: 'failed' });
  });
});

describe('a gateway that keeps its promise', () => {
  test('is believed for every choice: drawn ones have their audit, the others none', () => {
    const log = logOf([...entries, LATER]);
    const all = saved.flatMap((text) => proveAudits(log, promisedBy(text)));
    expect(all).toHaveLength(ANSWERS + 1);
    expect(all.filter(({ status }) => status !== 'done' && status !== 'not drawn')).toEqual([]);
    const done = all.filter(({ status }) => status === 'done').length;
    expect(done).toBe(entries.filter(({ type }) => type === 'audited').length);
    expect([done > 0, done < all.length]).toEqual([true, true]);
  });

  test('is waited for while the epoch runs', () => {
    const running = entries.filter(({ type }) => type !== 'audit').slice(0, -1);
    const { promised } = audited();
    expect(statuses(logOf(running), promised)[0]![0]).toBe('pending');
  });
});

describe('a gateway is shown to have cheated that', () => {
  test('leaves an audit out, once its time is over', () => {
    const { promised, at } = audited();
    const without = entries.filter((_, index) => index !== at);
    const still = statuses(logOf(without), promised);
    expect(still).toContainEqual(['pending', 'the audit has time left']);
    expect(statuses(logOf([...without, LATER]), promised)).toContainEqual(['broken', 'the audit is missing']);
  });

  test('draws with another key than it had committed to', () => {
    const { promised } = audited();
    const other = entries.map((entry): LogEntry => {
      return entry.type === 'audit' ? { ...entry, secret: `0x${'77'.repeat(32)}` } : entry;
    });
    expect(statuses(logOf(other), promised)).toEqual([['broken', 'the opened key is not the one that was committed']]);
  });

  test('states another index than the one that the log has for the answer', () => {
    const { promised } = audited();
    const { answer } = restated(promised, (wire) => ({ ...wire, draw: { ...wire.draw, index: 0 } }));
    expect(statuses(logOf(entries), answer)).toEqual([['broken', 'the log has another entry in place of the answer']]);
  });

  test('takes the index of an earlier request once more', () => {
    const { promised } = audited();
    const { answer, changed } = restated(promised, (wire) => ({ ...wire, draw: { ...wire.draw, index: 0 } }));
    expect(statuses(logOf(changed), answer)).toEqual([['broken', 'another request had the same draw']]);
  });

  test('leaves out draws until one says that nobody looks', () => {
    const { promised } = audited();
    const { answer, changed } = restated(promised, (wire) => ({ ...wire, draw: { ...wire.draw, index: 60 } }));
    expect(statuses(logOf([...changed, LATER]), answer)).toEqual([['broken', 'draws before this one were left out']]);
  });

  test('lets a friend audit, or looks less closely than was drawn', () => {
    const { promised, at, entry } = audited();
    const change = (fields: Partial<typeof entry>) =>
      statuses(logOf(entries.map((one, index) => (index === at ? { ...entry, ...fields } : one))), promised);
    const others = network.members.map(({ address }) => address).filter((address) => address !== entry.auditor);
    const friend = others.find((address) => address !== entry.provider)!;
    const told = change({ auditor: friend }).map(([status]) => status);
    expect(told).toContain('broken');
    expect(change({ auditor: entry.provider })).toContainEqual(['broken', 'the auditor was not drawn']);
    const kind = entry.kind === 'score' ? 'regenerate' : 'score';
    expect(change({ kind })).toContainEqual(['broken', `the draw asks for another audit than a ${kind}`]);
    expect(change({ provider: friend })).toContainEqual(['broken', 'the audit is about another provider']);
    expect(change({ atMs: promised.statement.issuedAtMs + WITHIN_MS + 1 })).toContainEqual([
      'broken',
      'the audit came too late',
    ]);
    expect(change({ outcome: 'undone', auditor: null })).toContainEqual(['undone', 'nobody could be had for it']);
  });

  test('opens the key while it still orders answers, or promises less than was asked for', () => {
    const { promised } = audited();
    const early = entries.map((entry): LogEntry => (entry.type === 'audit' ? { ...entry, atMs: 1 } : entry));
    expect(statuses(logOf(early), promised)).toEqual([['broken', 'the key was opened before the answer was ordered']]);
    const { answer, changed } = restated(promised, (wire) => ({
      ...wire,
      policy: { ...wire.policy, audit_rate: 0.9 },
    }));
    const asked = {
      ...answer,
      statement: { ...answer.statement, policy: { ...answer.statement.policy, audit_rate: 0.9 } },
    };
    expect(statuses(logOf(changed), asked)).toEqual([['broken', 'the rate is below the one that was asked for']]);
  });

  test('shows one log to its clients and another to auditors', () => {
    const text = saved.at(-1)!;
    const other = entries.map((entry, at): LogEntry => (at === 1 ? { ...entry, atMs: entry.atMs + 1 } : entry));
    const root = toHex(merkleRoot(other.map((entry) => leafHash(logEntryBytes(entry)))));
    const checkpoint = signCheckpoint(LOCAL_DOMAIN, KEYS, { size: other.length, root });
    const { items } = verifyResponse({ response: text, log: { checkpoint, entries: other }, recover: recoverNative });
    expect(items.find(({ name }) => name === 'audits')).toMatchObject({ status: 'failed' });
    const unsigned = { checkpoint: checkpoint.replace(/.$/m, ''), entries: other };
    expect(typeof openLogCopy(unsigned, LOCAL_DOMAIN, KEYS, recoverNative)).toBe('string');
    expect(fromHex(toHex(merkleRoot([])))).toHaveLength(32);
  });
});

describe('the command', () => {
  async function run(...argv: readonly string[]) {
    const [printed, failed]: [string[], string[]] = [[], []];
    const io = {
      print: (line: string) => printed.push(line),
      fail: (line: string) => failed.push(line),
      fetch: (url: string) => network.call(new URL(url).pathname + new URL(url).search),
    } as unknown as Parameters<typeof runAuditProof>[1];
    return { code: await runAuditProof(argv, io), printed, failed };
  }
  const files = () =>
    saved.map((text, at) => {
      const file = path.join(folder, `answer-${at}`);
      writeFileSync(file, text);
      return file;
    });

  test('fetches the log, checks all answers and counts what was drawn and done', async () => {
    const log = path.join(folder, 'log.json');
    const { code, printed, failed } = await run(...files(), '--log', log, '--fetch', 'http://gateway/');
    expect([code, failed]).toEqual([0, []]);
    expect(printed.at(-1)).toMatch(/^10 answers, 11 choices: (\d+) drawn \(5\.5 expected\), \1 done$/);
    const again = await run(...files(), '--log', log, '--json', '--require');
    expect(again.code).toBe(0);
    expect(JSON.parse(again.printed.join('\n'))).toMatchObject({
      ok: true,
      answers: 10,
      counts: { pending: 0, broken: 0 },
    });
  });

  test('exits 1 where an audit is missing, and 2 where it is used wrongly', async () => {
    const { at } = audited();
    const without = [...entries.filter((_, index) => index !== at), LATER];
    const root = toHex(merkleRoot(without.map((entry) => leafHash(logEntryBytes(entry)))));
    const log = path.join(folder, 'cut.json');
    writeFileSync(
      log,
      JSON.stringify({
        checkpoint: signCheckpoint(LOCAL_DOMAIN, KEYS, { size: without.length, root }),
        entries: without,
      }),
    );
    const last = path.join(folder, 'last');
    writeFileSync(
      last,
      saved[
        saved.findIndex((text) => promisedBy(text).statement.requestId === audited().promised.statement.requestId)
      ]!,
    );
    const cut = await run(last, '--log', log);
    expect(cut.code).toBe(1);
    expect(cut.printed.join('\n')).toContain('the audit is missing');
    expect((await run(last)).code).toBe(2);
    expect((await run('--log', log)).code).toBe(2);
    expect((await run(path.join(folder, 'nothing'), '--log', log)).code).toBe(2);
    expect(readFileSync(log, 'utf8').length).toBeGreaterThan(0);
  });
});
