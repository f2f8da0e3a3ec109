/** A client with an escrow and a key of its own making, and nothing else: it deposits, signs, asks, and leaves by itself. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { chainDigests } from '#protocol/chain-messages';
import { createClock } from '#protocol/clock';
import { fromHex, type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import { portableSigner } from '#protocol/signer';
import { tokenBalance } from '../../provider/chain/account.ts';
import { runEscrow } from '../../provider/cli/escrow-command.ts';
import { booksOf } from '../fixtures/network.ts';
import { TOY_MODEL } from '../simulation/toy-machine.ts';
import { DEMO } from './chain-fixture.ts';
import { type ChainGateway, soon, startChainGateway } from './chain-gateway.ts';

const API_KEY = 'sk-assay-a-client-made-this-one';
const KEY_HASH: Hash = toHex(sha256(utf8(API_KEY)));
const QUESTION = { model: TOY_MODEL.id, max_tokens: 12, messages: [{ role: 'user', content: 'hello' }] };
const DAY = 86_400;

let gateway: ChainGateway;
beforeAll(async () => {
  gateway = await startChainGateway(3);
}, 240_000);
afterAll(() => gateway?.stop());

it('is served for what its vouchers bring, through a restart, and takes the rest out again without anybody’s leave', {
  timeout: 240_000,
}, async () => {
  const { net, toy, account, post } = gateway;
  const { domain, addresses } = net.network;
  const { key, chain } = await net.party(100n);
  const [signer, client] = [portableSigner(fromHex(key)), chain.sender];
  const named = { settlement: addresses.Settlement, client, gateway: account };
  const keyStatement = (revoked: boolean) => {
    const statement = { ...named, keyHash: KEY_HASH, revoked };
    return { client, key_hash: KEY_HASH, revoked, signature: signer.sign(chainDigests.escrowKey(domain, statement)) };
  };
  const voucher = (cumulative: bigint) => {
    const signature = signer.sign(chainDigests.voucher(domain, { ...named, epoch: 0n, cumulative }));
    return { client, epoch: '0', cumulative: cumulative.toString(), signature };
  };
  const send = (functionName: string, args: readonly unknown[]) =>
    chain.send({ callee: 'Settlement', functionName, args });
  const ask = () => post('/v1/chat/completions', QUESTION, API_KEY);

  // Nothing in escrow: no key, and no voucher.
  expect((await post('/v1/escrow/keys', keyStatement(false))).status).toBe(400);
  expect((await post('/v1/vouchers', voucher(DEMO))).status).toBe(400);
  await chain.send({ callee: 'token', functionName: 'approve', args: [addresses.Settlement, 50n * DEMO] });
  await send('deposit', [account, 50n * DEMO]);
  await soon(async () => expect((await toy.call(`/v1/escrow/${client}`)).status).toBe(200));
  expect((await ask()).status).toBe(401);
  expect((await post('/v1/escrow/keys', keyStatement(false))).status).toBe(201);

  // A deposit alone is the client's, and buys nothing.
  expect(await (await ask()).json()).toMatchObject({ error: { code: 'insufficient_quota' } });
  expect((await post('/v1/vouchers', voucher(20n * DEMO))).status).toBe(201);
  await toy.restart();
  await soon(async () => {
    const escrow = await (await toy.call(`/v1/escrow/${client}`)).json();
    expect(escrow).toMatchObject({ redeemed: String(20n * DEMO), next_least: String(21n * DEMO) });
  });
  const answer = await ask();
  expect([answer.status, answer.headers.get('assay-verdict')]).toEqual([200, expect.stringMatching(/agreed/)]);
  await answer.text();

  // What was earned is promised on the chain out of what the voucher brought.
  const pool = async () => {
    const call = { callee: 'Settlement' as const, functionName: 'poolOf', args: [account] };
    return z.object({ funded: z.bigint(), committed: z.bigint() }).parse(await chain.read(call));
  };
  await soon(async () => expect((await pool()).committed).toBeGreaterThan(0n));
  expect((await pool()).funded).toBe(20n * DEMO);

  // A key that was taken back is none; the escrow is free after its delay, and older vouchers are worth nothing.
  expect((await post('/v1/escrow/keys', keyStatement(true))).status).toBe(200);
  expect((await ask()).status).toBe(401);
  await send('startExit', [account]);
  await net.pass(3 * DAY);
  await send('finishExit', [account]);
  expect(await tokenBalance(chain, client)).toBe(80n * DEMO);
  await soon(async () => {
    expect(await (await toy.call(`/v1/escrow/${client}`)).json()).toMatchObject({ epoch: '1', deposited: '0' });
  });
  expect(await (await post('/v1/vouchers', voucher(30n * DEMO))).json()).toMatchObject({ error: { param: 'epoch' } });
  expect(await booksOf(toy.store)).toEqual([]);
  expect(await toy.gateway.chain!.compare()).toEqual([]);
});

it('does the same by `assay escrow`, which signs no more than the chain has seen redeemed', {
  timeout: 240_000,
}, async () => {
  const { net, toy, post } = gateway;
  const { keyFile, chain } = await net.party(100n);
  const apiKeyFile = path.join(net.folder, 'api-key');
  const lines: string[] = [];
  const io = {
    print: (line: string) => void lines.push(line),
    fail: (line: string) => void lines.push(line),
    clock: createClock({ now: () => 0, after: () => () => undefined }),
    rng: { bytes: (length: number) => new Uint8Array(length).fill(5) },
    fetch: (url: string, init: RequestInit) => toy.call(url.slice('http://gateway'.length), init),
    env: {},
    modelFolder: '',
  };
  const run = (...args: string[]) => {
    lines.length = 0;
    const where = ['--gateway=http://gateway', `--network=${net.file}`, `--rpc-url=${net.rpcUrl}`, `--key=${keyFile}`];
    return runEscrow([...where, ...args], io);
  };
  const ask = () => post('/v1/chat/completions', QUESTION, readFileSync(apiKeyFile, 'utf8').trim());

  expect(await run('--deposit=10', '--dry-run'), lines.join('\n')).toBe(0);
  expect(await run('--pay=1')).toBe(1);
  expect(lines.join()).toContain('the escrow holds 0 DEMO more');
  expect(await run('--deposit=10'), lines.join('\n')).toBe(0);
  expect(lines.at(-1)).toBe('in escrow 10 DEMO, redeemed 0 DEMO');
  expect(await run('--pay=11')).toBe(1);
  await soon(async () => expect(await run('--pay=5', `--api-key=${apiKeyFile}`), lines.join('\n')).toBe(0));
  await soon(async () => expect((await ask()).status).toBe(200));
  await soon(async () => {
    await run();
    expect(lines).toEqual(['in escrow 5 DEMO, redeemed 5 DEMO']);
  });
  expect(await run(`--api-key=${apiKeyFile}`, '--revoke'), lines.join('\n')).toBe(0);
  expect((await ask()).status).toBe(401);
  expect(await run('--withdraw')).toBe(1);
  expect(await run('--exit'), lines.join('\n')).toBe(0);
  expect(await run('--exit')).toBe(1);
  expect(await run('--withdraw')).toBe(1);
  await net.pass(3 * DAY);
  expect(await run('--withdraw'), lines.join('\n')).toBe(0);
  expect(await tokenBalance(chain, chain.sender)).toBe(95n * DEMO);
});
