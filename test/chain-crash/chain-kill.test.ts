/** A slice of `npm run crash:chain:process`: the built gateway is killed with SIGKILL on a real chain, and pays everybody once. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureBuilt } from '../contract/program.ts';
import { killGateway } from './killed-gateway.ts';
import { type RpcProxy, startRpcProxy } from './rpc-proxy.ts';
import { TestChain } from './test-chain.ts';

const KILLS = 5;

let chain: TestChain;
let proxy: RpcProxy;
beforeAll(async () => {
  await ensureBuilt();
  chain = await TestChain.start();
  proxy = await startRpcProxy(chain.url);
}, 300_000);
afterAll(async () => {
  await proxy?.close();
  await chain?.stop();
});

test('a gateway process that is killed while it posts, waits and reads loses no payout and makes none twice', {
  timeout: 300_000,
}, async () => {
  const { problems, kills, transactions } = await killGateway(chain, proxy, 'slice', KILLS);
  expect(problems).toEqual([]);
  expect(Object.values(kills).reduce((sum, count) => sum + count, 0)).toBe(KILLS);
  expect(transactions).toBeGreaterThan(3);
});
