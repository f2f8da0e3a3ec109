/** `assay stake`, `unstake` and `claim` on a real chain, and proofs of earnings that must not be believed. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { chainDigests } from '#protocol/chain-messages';
import { createClock } from '#protocol/clock';
import { type EarningsProofWire, earningsTree } from '#protocol/earnings';
import { type Address, fromHex, type Hash, toHex } from '#protocol/hash';
import { portableSigner } from '#protocol/signer';
import { digests } from '#protocol/typed';
import { accountOf, readAs, tokenBalance, unbondingsOf } from '../../provider/chain/account.ts';
import { type ChainCommand, runChainCommand } from '../../provider/cli/chain-command.ts';
import type { CommandIo } from '../../provider/cli/command-io.ts';
import { DEMO, startNetwork, type TestNetwork } from './chain-fixture.ts';

type Party = Awaited<ReturnType<TestNetwork['party']>>;

let net: TestNetwork;
let account: Party;
let gateway: Party;
let configFile: string;
const signerKey = toHex(new Uint8Array(32).fill(7));
const signer = portableSigner(fromHex(signerKey));
const lines: string[] = [];
let reply: { status: number; body: unknown } = { status: 404, body: {} };

const io = {
  print: (line: string) => void lines.push(line),
  fail: (line: string) => void lines.push(line),
  clock: createClock({ now: () => 0, after: () => () => undefined }),
  env: {},
  fetch: async () => new Response(JSON.stringify(reply.body), { status: reply.status }),
} as unknown as CommandIo;

async function run(command: ChainCommand, ...args: string[]): Promise<number> {
  lines.length = 0;
  const chain = [
    `--config=${configFile}`,
    `--network=${net.file}`,
    `--rpc-url=${net.rpcUrl}`,
    `--key=${account.keyFile}`,
  ];
  return runChainCommand(command, [...chain, ...args], io);
}

beforeAll(async () => {
  net = await startNetwork();
  account = await net.party(100n);
  gateway = await net.party(100n);
  const keyFile = path.join(net.folder, 'signer');
  writeFileSync(keyFile, signerKey);
  configFile = path.join(net.folder, 'provider.json');
  const settings = { modelFolder: 'm', modelId: 'm', operator: 'o', keyFile, gatewayAddresses: `0x${'11'.repeat(20)}` };
  writeFileSync(configFile, JSON.stringify(settings));
}, 120_000);
afterAll(() => net?.stop());

it('stakes: says each transaction and its cost first, sends only what is missing, and reports the end', async () => {
  expect(await run('stake', '--amount=30', '--dry-run'), lines.join('\n')).toBe(0);
  expect(lines.join('\n')).toMatch(
    /will:\n {2}1\. open the account .*\n {2}2\. answer for .*\n {2}3\. let .*\n {2}4\. stake 30 DEMO\ncosts about \d+ gas/,
  );
  expect(await accountOf(account.chain, account.chain.sender)).toBeNull();

  expect(await run('stake', '--amount=30'), lines.join('\n')).toBe(0);
  expect(lines.filter((line) => /^\d\/4 done: .*; 0x[0-9a-f]{64}, \d+ gas$/.test(line))).toHaveLength(4);
  expect(lines.at(-1)).toBe(`${account.chain.sender} has 30 DEMO at stake; ${signer.address} signs for it`);
  expect(
    await readAs(account.chain, z.string(), {
      callee: 'StakeRegistry',
      functionName: 'answers',
      args: [signer.address],
    }),
  ).toMatch(new RegExp(account.chain.sender, 'i'));

  expect(await run('stake', '--amount=2.5'), lines.join('\n')).toBe(0);
  expect(lines.filter((line) => line.includes('done:'))).toHaveLength(2);
  expect((await accountOf(account.chain, account.chain.sender))?.active).toBe((65n * DEMO) / 2n);
});

it('sends nothing where it cannot end well, and says why', async () => {
  expect(await run('stake', '--amount=1000')).toBe(1);
  expect(lines).toEqual([expect.stringContaining('has 67.5 DEMO, which is less than 1000 DEMO')]);
  expect(await run('stake', '--amount=0.0000000001')).toBe(1);
  expect(lines).toEqual([expect.stringContaining('--amount must be an amount of DEMO')]);
  expect(await run('unstake', '--amount=33')).toBe(1);
  expect(lines).toEqual([expect.stringContaining('only 32.5 DEMO is at stake')]);
  expect(await run('stake')).toBe(2);
  const other = await net.party(5n);
  expect(await run('stake', '--amount=1', `--key=${other.keyFile}`)).toBe(2);
  lines.length = 0;
  const args = [`--config=${configFile}`, `--network=${net.file}`, `--rpc-url=${net.rpcUrl}`, `--key=${other.keyFile}`];
  expect(await runChainCommand('stake', [...args, '--amount=1'], io)).toBe(1);
  expect(lines).toEqual([expect.stringContaining(`answers for ${account.chain.sender}, for ever`)]);
  const dead = args.map((arg) => (arg.startsWith('--rpc-url') ? '--rpc-url=http://127.0.0.1:1' : arg));
  lines.length = 0;
  expect(await runChainCommand('unstake', dead, io)).toBe(1);
  expect(lines).toEqual(['assay unstake: the chain’s node does not answer']);
});

it('unstakes: begins, shows until when it is held, and pays out what has waited', async () => {
  expect(await run('unstake', '--amount=10'), lines.join('\n')).toBe(0);
  expect(lines.join('\n')).toMatch(/can be slashed until it is withdrawn, 21 days from now/);
  expect(await run('unstake', '--withdraw'), lines.join('\n')).toBe(0);
  expect(lines[0]).toBe('nothing can be withdrawn yet');
  await net.pass(21 * 86_400);
  const before = await tokenBalance(account.chain, account.chain.sender);
  expect(await run('unstake', '--withdraw'), lines.join('\n')).toBe(0);
  expect((await tokenBalance(account.chain, account.chain.sender)) - before).toBe(10n * DEMO);
  expect(await unbondingsOf(account.chain, account.chain.sender)).toEqual([]);
});

const LOG_ROOT: Hash = `0x${'ab'.repeat(32)}`;

/** The gateway's account with money in its pool, and a posted root. */
async function postRoot(payee: Address, cumulative: bigint, size: number): Promise<EarningsProofWire> {
  const { chain } = gateway;
  const me = chain.sender;
  const tree = earningsTree([
    { payee, cumulative },
    { payee: `0x${'00'.repeat(19)}01`, cumulative: 5n },
  ]);
  const head = { origin: 'gateway.test/log', size, root: LOG_ROOT };
  const signature = portableSigner(fromHex(gateway.key)).sign(digests.checkpoint(net.network.domain, head));
  const args = [me, tree.root, 2n, tree.total, { ...head, size: BigInt(size) }, signature];
  const pool = z.object({ rootCount: z.bigint() });
  const { rootCount } = await readAs(chain, pool, { callee: 'Settlement', functionName: 'poolOf', args: [me] });
  await chain.send({ callee: 'Settlement', functionName: 'postRoot', args });
  const earnings = {
    root: tree.root,
    leafCount: '2',
    total: String(tree.total),
    logSize: String(size),
    logRoot: LOG_ROOT,
  };
  const place = tree.placeOf(payee)!;
  return {
    gateway: me,
    payee,
    rootIndex: Number(rootCount),
    earnings,
    cumulative: String(cumulative),
    ...place,
    path: [...place.path],
  };
}

it('claims: checks the gateway’s proof against the chain, and takes what is new', async () => {
  const { chain } = gateway;
  const proof = portableSigner(fromHex(gateway.key)).sign(
    chainDigests.signingKey(net.network.domain, { account: chain.sender, key: chain.sender }),
  );
  const registry = (functionName: string, args: unknown[]) =>
    chain.send({ callee: 'StakeRegistry', functionName, args });
  await registry('open', [`0x${'00'.repeat(32)}`]);
  await registry('addKey', [chain.sender, chain.sender, proof]);
  await registry('nameLog', [chain.sender, 'gateway.test/log']);
  await chain.send({ callee: 'token', functionName: 'approve', args: [net.network.addresses.Settlement, 90n * DEMO] });
  await chain.send({ callee: 'Settlement', functionName: 'fund', args: [chain.sender, 90n * DEMO] });
  const first = await postRoot(account.chain.sender, 7n * DEMO, 3);

  const claim = async (body: unknown, status = 200) => {
    reply = { status, body };
    return run('claim', '--gateway=http://127.0.0.1:9');
  };
  expect(await claim(first)).toBe(1);
  expect(lines).toEqual([expect.stringContaining('root 0 pays from')]);
  await net.pass(86_400);

  const wrong: [string, unknown][] = [
    ['is not the one on the chain', { ...first, earnings: { ...first.earnings, total: '900' } }],
    ['the leaf of the proof is not under its root', { ...first, cumulative: String(8n * DEMO) }],
    ['which is not this provider', { ...first, payee: chain.sender }],
    ['in a form that this version does not know', { ...first, leafIndex: '0' }],
  ];
  for (const [why, body] of wrong) {
    expect(await claim(body), why).toBe(1);
    expect(lines).toEqual([expect.stringContaining(why)]);
  }
  expect(await claim({ error: { message: 'No root yet.' } }, 404)).toBe(1);
  expect(lines).toEqual([expect.stringContaining('No root yet.')]);

  const before = await tokenBalance(account.chain, account.chain.sender);
  expect(await claim(first), lines.join('\n')).toBe(0);
  expect((await tokenBalance(account.chain, account.chain.sender)) - before).toBe(7n * DEMO);
  expect(await claim(first)).toBe(0);
  expect(lines.at(-1)).toBe('there is nothing to claim');

  const second = await postRoot(account.chain.sender, 12n * DEMO, 9);
  await net.pass(86_400);
  expect(await claim(first)).toBe(1);
  expect(lines).toEqual([expect.stringContaining('a later one is active')]);
  expect(await claim(second), lines.join('\n')).toBe(0);
  expect((await tokenBalance(account.chain, account.chain.sender)) - before).toBe(12n * DEMO);
});
