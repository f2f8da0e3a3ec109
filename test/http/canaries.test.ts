/** Planted errors over the whole gateway: who finds them is paid, who does not look is passed over, and nothing tells them from audits (spec-judge.md §7.13). */
import { describe, expect, test } from 'vitest';
import { parseAttestation, type Statement } from '#protocol/attestation';
import type { PromisedAnswer } from '#protocol/audit-proof';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { toHex } from '#protocol/hash';
import { jackpotNano, scoreNano } from '#protocol/jackpot';
import { type LogEntry, logEntryBytes, signCheckpoint, zLogEntry } from '#protocol/log';
import { type LogCopy, type OpenLog, openLogCopy } from '#protocol/log-copy';
import { leafHash, merkleRoot } from '#protocol/merkle';
import { signCall } from '#protocol/provider-call';
import { recoverNative } from '#protocol/signer-native';
import { proveTrials } from '#protocol/trial-proof';
import { verifyResponse } from '#protocol/verify';
import { earningsAccount } from '../../gateway/ledger/accounts.ts';
import type { Fetch } from '../../gateway/round/provider-client.ts';
import { balanceNano } from '../../gateway/store/ledger-repo.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import { RESERVE_NANO, testLogSigner } from '../fixtures/network.ts';
import { clock, signerOf, type ToyNetwork, type ToyOptions } from '../fixtures/toy-network.ts';
import { entriesOf, toyNetworks } from '../fixtures/toy-networks.ts';
import { toyMachine } from '../simulation/toy-machine.ts';

const open = toyNetworks();
const AUDITS = { ratePpm: 400_000, regeneratePpm: 0, delayMs: 0, withinMs: 3_600_000 };
const TRIAL_PPM = 1_000_000;
const ASKED = { temperature: 1, logit_bias: { 0: -100 }, max_tokens: 24, verification: 'audited' };

const start = (options: ToyOptions = {}) =>
  open({ members: 6, ...options, limits: { audits: AUDITS, scorerTrialPpm: TRIAL_PPM, ...options.limits } });

async function ask(network: ToyNetwork, count: number): Promise<string[]> {
  const saved: string[] = [];
  for (let at = 0; at < count; at++) {
    saved.push((await network.ask(`question ${at}`, { ...ASKED, seed: at })).saved);
    await network.gateway.settled();
  }
  return saved;
}

type Trial = Extract<LogEntry, { type: 'trial' }>;
const trialsIn = (entries: readonly LogEntry[]): Trial[] =>
  entries.flatMap((entry) => (entry.type === 'trial' ? [entry] : []));

function promisedBy(text: string): PromisedAnswer & { readonly statement: Statement } {
  const { assay } = JSON.parse(text) as { assay: { attestation: string; receipt: { snapshot: never } } };
  return { ...parseAttestation(assay.attestation)!, snapshot: assay.receipt.snapshot };
}

function dueNano({ request, outputIds, audit, waves }: Statement): bigint {
  const { inputNanoPerMtok } = waves[0]!.members[0]!.ticket;
  const cost = scoreNano(BigInt(inputNanoPerMtok), { prompt: request.promptTokens, output: outputIds.length });
  return jackpotNano(cost, TRIAL_PPM, { mode: 'audited', n: 1 }, audit!);
}

describe('a planted error in an audit', () => {
  test('pays who finds it, out of the reserve, what the spec says, and its account shows it', async () => {
    const network = await start();
    const saved = await ask(network, 20);
    const trials = trialsIn(await entriesOf(network));
    expect(trials.map(({ outcome }) => outcome)).toEqual(trials.map(() => 'right'));
    const paid = trials.filter(({ jackpotNano: prize }) => prize !== undefined);
    expect([paid.length > 0, paid.length < trials.length]).toEqual([true, true]);
    const statements = new Map(saved.map((text) => [promisedBy(text).statement.requestId, promisedBy(text).statement]));
    for (const { requestId, jackpotNano: prize } of paid) {
      expect(BigInt(prize!)).toBe(dueNano(statements.get(requestId)!));
      expect(BigInt(prize!)).toBeGreaterThan(0n);
    }
    const { provider } = paid[0]!;
    const sum = paid
      .filter((one) => one.provider === provider)
      .reduce((all, one) => all + BigInt(one.jackpotNano!), 0n);
    const name = network.names.find((one) => signerOf(one).address === provider)!;
    const path = '/v1/provider/account';
    const headers = signCall(
      { method: 'GET', path, body: new Uint8Array() },
      {
        domain: LOCAL_DOMAIN,
        signer: signerOf(name),
        gateway: signerOf('gateway').address,
        nowMs: clock.nowMs(),
        rng: { bytes: (length) => new Uint8Array(length).fill(9) },
      },
    );
    const account = (await (await network.call(path, { headers })).json()) as Record<string, string>;
    expect(account.jackpots).toEqual({
      count: paid.filter((one) => one.provider === provider).length,
      earned_nano: sum.toString(),
    });
    // What is owed, and so what a root on a chain settles, holds the prizes beside the pay of all jobs.
    expect(BigInt(account.earnings_nano!)).toBe(BigInt(account.earned_nano!) + sum);
    const owed = await network.store.read((handle) => balanceNano(handle, earningsAccount(provider)));
    expect(owed).toBe(BigInt(account.earnings_nano!));
  });

  test('whose prize the reserve cannot pay is neither logged nor counted: all of it, or nothing', async () => {
    const network = await start();
    const [text] = await ask(network, 1);
    const { requestId } = promisedBy(text!).statement;
    const { address: provider } = signerOf('p1');
    const before = [(await entriesOf(network)).length, network.gateway.scorers.of(provider)];
    const evidenceHash = `0x${'11'.repeat(32)}` as const;
    const found = { provider, requestId, choice: 7, outcome: 'right', evidenceHash } as const;
    await expect(network.gateway.scorers.add({ ...found, jackpotNano: RESERVE_NANO + 1n })).rejects.toMatchObject({
      code: 'reserve_empty',
    });
    expect([(await entriesOf(network)).length, network.gateway.scorers.of(provider)]).toEqual(before);
  });

  const honest = toyMachine();
  const lazy = (): Engine => ({
    info: honest.info,
    text: honest.text,
    generate: (request) => honest.generate(request),
    close: () => honest.close(),
    // "All fine": scores of the text that it would have written itself, with the claimed token put where the best one is.
    async score(request) {
      const evidence = await honest.score(request);
      return evidence.map((item) => {
        const [best] = item.top;
        const others = item.top.filter(([id]) => id !== item.chosen).slice(0, item.top.length - 1);
        return {
          ...item,
          chosenLogit: best![1] + (40 << 16),
          top: [[item.chosen, best![1] + (40 << 16)] as const, ...others],
        };
      });
    },
  });

  test('is missed by who says that all is fine: never paid, and soon in quarantine', async () => {
    const network = await start({ engines: { p1: lazy() } });
    const { address } = signerOf('p1');
    for (let round = 0; round < 30 && network.gateway.registry.excluded().length === 0; round++) await ask(network, 4);
    expect(network.gateway.registry.excluded().map(({ provider, reason }) => [provider, reason])).toEqual([
      [address, 'quarantine:lying-scorer'],
    ]);
    const trials = trialsIn(await entriesOf(network));
    expect(trials.filter((one) => one.provider === address && one.jackpotNano !== undefined)).toEqual([]);
    expect(trials.filter((one) => one.provider !== address && one.outcome === 'wrong')).toEqual([]);
  });
});

describe('an order with a planted error', () => {
  interface Order {
    readonly to: string;
    readonly init: RequestInit;
    readonly body: {
      readonly ticket: Record<string, string | number>;
      readonly promptIds: number[];
      readonly outputIds: number[];
    };
  }
  /** Everything about a message but the values that are random or the work itself. */
  function formOf({ init, body }: Order): string {
    const shape = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(() => 'n')
        : typeof value === 'object' && value !== null
          ? Object.entries(value).map(([key, inner]) => [key, shape(inner)])
          : typeof value === 'string'
            ? `${/^0x/.test(value) ? 'hex' : 'text'} ${value.length > 24 ? value.length : ''}`
            : typeof value;
    const { ticket, promptIds, outputIds, ...rest } = body;
    return JSON.stringify([
      init.method,
      [...new Headers(init.headers).keys()].sort(),
      shape(rest),
      shape(ticket),
      [ticket.kind, ticket.padHash, ticket.inputNanoPerMtok, ticket.outputNanoPerMtok],
      Number(ticket.expiresAtMs) - Number(ticket.issuedAtMs),
      Number(ticket.retainUntilMs) - Number(ticket.issuedAtMs),
      Array.isArray(promptIds) && Array.isArray(outputIds),
    ]);
  }

  test('has the form and the length of an audit: one order, of the whole answer, under the newest checkpoint, to who gets no other', async () => {
    const orders: Order[] = [];
    const wrap =
      (fetch: Fetch): Fetch =>
      async (url, init) => {
        const { hostname, pathname } = new URL(url);
        if (pathname === '/v1/scores' && hostname !== 'referee') {
          orders.push({ to: hostname, init: init!, body: JSON.parse(String(init?.body)) as Order['body'] });
        }
        return fetch(url, init);
      };
    const network = await start({ wrap });
    const saved = await ask(network, 24);
    const served = new Map(saved.map((text) => [promisedBy(text).statement.requestHash, promisedBy(text).statement]));
    // Those of rounds under another seed are about other answers, and look the same.
    const about = orders.filter(({ body }) => served.has(body.ticket.requestHash as never));
    const kinds = about.map((order) => {
      const { outputIds } = served.get(order.body.ticket.requestHash as never)!;
      return { order, isPlanted: outputIds.join() !== order.body.outputIds.join(), length: outputIds.length };
    });
    const planted = kinds.filter(({ isPlanted }) => isPlanted);
    const ordinary = kinds.filter(({ isPlanted }) => !isPlanted);
    expect([planted.length > 2, ordinary.length > 2]).toEqual([true, true]);
    expect(new Set(orders.map(formOf)).size).toBe(1);
    // One token has another value and none is more or less: who saw the answer elsewhere could tell, its size cannot.
    for (const { order, length } of kinds) expect(order.body.outputIds).toHaveLength(length);
    for (const { order, isPlanted } of kinds) {
      const { outputIds } = served.get(order.body.ticket.requestHash as never)!;
      const apart = outputIds.filter((id, at) => id !== order.body.outputIds[at]).length;
      expect(apart).toBe(isPlanted ? 1 : 0);
    }
    // Orders of the answer's own age would stand out among those of audits.
    const isOld = ({ order }: (typeof kinds)[number]) => {
      const [wave] = served.get(order.body.ticket.requestHash as never)!.waves;
      return order.body.ticket.checkpoint === wave!.members[0]!.ticket.checkpoint;
    };
    expect([planted.some(isOld), ordinary.some(isOld)]).toEqual([false, false]);
    // Nobody sees two orders about one answer: the two would differ where the error is.
    const seen = orders.map(({ to, body }) => `${to} ${body.ticket.requestHash}`);
    expect(new Set(seen).size).toBe(seen.length);
  });
});

describe('what prizes were paid', () => {
  const KEYS = testLogSigner(signerOf('gateway'));
  async function opened() {
    const network = await start();
    const saved = await ask(network, 20);
    await network.gateway.epochs.begin(0);
    const entries = (await entriesOf(network)).map((entry) => zLogEntry.parse(entry));
    return { saved, entries };
  }
  function copyOf(all: readonly LogEntry[]): LogCopy {
    const root = toHex(merkleRoot(all.map((entry) => leafHash(logEntryBytes(entry)))));
    return { checkpoint: signCheckpoint(LOCAL_DOMAIN, KEYS, { size: all.length, root }), entries: [...all] };
  }
  function itemOf(text: string, all: readonly LogEntry[]) {
    const { items } = verifyResponse({ response: text, log: copyOf(all), recover: recoverNative });
    const item = items.find(({ name }) => name === 'trials')!;
    return [item.status, item.detail];
  }

  test('follows from the opened key, and a gateway that pays whom it likes, what it likes or for nothing is shown', async () => {
    const { saved, entries } = await opened();
    for (const text of saved) expect(itemOf(text, entries)).toEqual(['proved', '1 of 1 choices, all of them drawn']);
    const answerOf = (requestId: string) => saved.find((text) => promisedBy(text).statement.requestId === requestId)!;
    const places = entries.flatMap((entry, at) => (entry.type === 'trial' ? [{ entry, at }] : []));
    const paid = places.find(({ entry }) => entry.jackpotNano !== undefined)!;
    const unpaid = places.find(({ entry }) => entry.jackpotNano === undefined)!;
    const shown = ({ entry, at }: typeof paid, change: Partial<Trial>) =>
      itemOf(
        answerOf(entry.requestId),
        entries.map((one, place) => (place === at ? { ...entry, ...change } : one)),
      );
    const prize = paid.entry.jackpotNano!;
    expect(shown(paid, { jackpotNano: `${BigInt(prize) + 1n}` })).toEqual([
      'failed',
      `choice 0: the prize is ${BigInt(prize) + 1n}, and not ${prize} nano`,
    ]);
    expect(shown(paid, { outcome: 'wrong' })[1]).toContain('paid for what it did not find');
    expect(shown(unpaid, { jackpotNano: prize })[1]).toContain('paid where no error was planted');
    expect(shown(paid, { provider: signerOf('stranger').address })[1]).toContain('could not be drawn');
    const { served } = promisedBy(answerOf(paid.entry.requestId)).statement;
    expect(shown(paid, { provider: served })[1]).toContain('had a part in the answer');
    const twice = [...entries, paid.entry];
    expect(itemOf(answerOf(paid.entry.requestId), twice)[1]).toContain('there twice');
  });

  test('is waited for while the epoch runs, and a trial that no key has drawn is shown', async () => {
    const { saved, entries } = await opened();
    const running = entries.filter(({ type }) => type !== 'audit');
    expect(itemOf(saved[0]!, running)[0]).toBe('pending');
    const seldom = entries.map((entry): LogEntry => (entry.type === 'epoch' ? { ...entry, auditPpm: 1 } : entry));
    const log = openLogCopy(copyOf(seldom), LOCAL_DOMAIN, KEYS, recoverNative) as OpenLog;
    expect(proveTrials(log, promisedBy(saved[0]!))).toMatchObject([
      { status: 'broken', detail: 'a scorer was tried that was not drawn' },
    ]);
  });
});
