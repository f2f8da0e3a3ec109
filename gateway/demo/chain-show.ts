/** `--chain`: stake on a chain, requests, a cheat judged and slashed there, roots of earnings posted, payouts claimed. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { chainDigests } from '#protocol/chain-messages';
import type { Clock, Rng } from '#protocol/env';
import type { Address } from '#protocol/hash';
import { newPrivateKey } from '#protocol/private-key';
import { nativeSigner } from '#protocol/signer-native';
import type { ChainMove } from '../chain/outbox.ts';
import type { CaseView } from '../store/chain-cases-repo.ts';
import { showCase } from './chain-case.ts';
import { type ChainStage, DEMO, transactionLine } from './chain-stage.ts';
import { type CheatShow, catchLiar, readJson } from './cheat.ts';
import type { RunningProvider } from './network.ts';

const STAKE_DEMO = 1_000n;
const BOND_DEMO = 10n;
const ESCROW_DEMO = 100n;
const VOUCHER_DEMO = 50n;
const WAIT_MS = 100;
/** 60 seconds: the gateway looks at the chain five times a second, on a machine that runs six models beside it. */
const WAITS_MAX = 600;

export interface ChainShow extends CheatShow {
  readonly stage: ChainStage;
  readonly rng: Rng;
  readonly clock: Clock;
  /** The program's own entry point: providers stake and claim by its commands. */
  readonly entry: string;
  readonly dataFolder: string;
  readonly modelFolder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Money for everybody, and the members' stake. Before the gateway begins, which registers by itself. */
export async function stakeAll(show: Omit<ChainShow, 'gateway' | 'moves'>, gatewayAddress: Address): Promise<void> {
  const { stage, providers, print } = show;
  print('');
  print('Money for gas and stake:');
  // It opens a case under a bond.
  await stage.give(gatewayAddress, BOND_DEMO, 'the gateway');
  for (const { address, spec } of members(providers)) await stage.give(address, STAKE_DEMO, spec.name);
  print('');
  print('Every provider stakes, by `assay stake`:');
  const staked = members(providers).map((provider) => {
    writeFileSync(configFile(show, provider), JSON.stringify(configOf(show, provider, gatewayAddress)));
    return command(show, provider, ['stake', `--amount=${STAKE_DEMO}`]);
  });
  await Promise.all(staked);
}

/** @returns the exit code: 0 where the liar was slashed, the honest were paid, and the books balance */
export async function showChain(show: ChainShow): Promise<number> {
  const { gateway, providers, print } = show;
  print('');
  print('The gateway has registered, and sees the stake:');
  await until(show, 'the gateway does not see the stake', () => seesStake(show));
  for (const { address, spec } of members(providers)) {
    print(`  ${spec.name} ${address} ${STAKE_DEMO} DEMO`);
  }
  await payIn(show);
  const disputeId = await catchLiar(show);
  if (disputeId === null) return 1;
  print('');
  print('What every provider has earned, as a root on the chain:');
  await until(show, 'no root was posted', () => hasRoot(show));
  print('');
  print('The gateway takes the dispute before the chain’s referees; two of three judge it again, by `assay referee`:');
  const liar = members(providers)[0]!;
  const slashed = await showCase(
    {
      ...show,
      gatewayUrl: gateway.url,
      run: (who, args) => run(show, who, args),
      until: (why, holds) => until(show, why, holds),
      caseOf: async (id) => (await readJson<{ case: CaseView | null }>(gateway, `/v1/disputes/${id}`)).case,
    },
    disputeId,
    liar.address,
  );
  print(`  slashed: ${slashed / DEMO} of ${STAKE_DEMO} DEMO`);
  print('');
  print('The root is active; every honest provider claims, by `assay claim`:');
  const claims = members(providers)
    .slice(1)
    .map(async (provider) => {
      if (!(await canClaim(show, provider.address))) return false;
      await command(show, provider, ['claim', `--gateway=${gateway.url}`]);
      return true;
    });
  const isPaid = (await Promise.all(claims)).includes(true);
  return (await showEnd(show)) && slashed > 0n && isPaid ? 0 : 1;
}

/** Shows what the gateway's outbox does, once it is in a block. */
export function chainMoves(stage: ChainStage, print: (line: string) => void): (move: ChainMove) => void {
  const shown = new Set<string>();
  return ({ key, kind, txHash, reason }) => {
    if (kind === 'failed') print(`  tx  gateway: ${key} failed (${reason})`);
    // Where a block is final at once, an intent is confirmed without having been seen in one.
    if ((kind !== 'mined' && kind !== 'confirmed') || txHash === null || shown.has(key)) return;
    shown.add(key);
    void stage.rich.client
      .getTransactionReceipt({ hash: txHash })
      .then(({ gasUsed }) => print(transactionLine(`gateway: ${wordOf(key)}`, txHash, gasUsed)))
      // The line is for the eye; what failed is said by the outbox.
      .catch(() => undefined);
  };
}

/** `root:3` and the like, without what is long. */
const wordOf = (key: string): string => key.replaceAll(/0x([0-9a-f]{6})[0-9a-f]+/g, '0x$1…').slice(0, 36);

const members = (providers: readonly RunningProvider[]) => providers.filter(({ spec }) => spec.role === 'member');
type Setting = Pick<ChainShow, 'stage' | 'entry' | 'dataFolder' | 'modelFolder' | 'env' | 'print'>;

const configFile = ({ dataFolder }: Pick<Setting, 'dataFolder'>, { spec }: RunningProvider): string =>
  path.join(dataFolder, spec.name, 'provider.json');

function configOf({ stage, dataFolder, modelFolder }: Setting, { spec, url }: RunningProvider, gateway: Address) {
  const folder = path.join(dataFolder, spec.name);
  return {
    ...{ modelFolder, modelId: path.basename(modelFolder), operator: spec.operator, gatewayAddresses: gateway },
    ...{ dataFolder: folder, keyFile: path.join(folder, 'key'), host: '127.0.0.1', port: new URL(url).port },
    ...{ network: stage.networkFile, rpcUrl: stage.chain.url },
  };
}

/** Runs `assay …` for a provider and shows its transactions. @throws {Error} with what it complains of */
async function command(show: Setting, provider: RunningProvider, args: readonly string[]): Promise<void> {
  const out = await run(show, provider.spec.name, [...args, `--config=${configFile(show, provider)}`]);
  for (const [, what, hash, gas] of out.matchAll(/^\d+\/\d+ done: (.*); (0x[0-9a-f]{64}), (\d+) gas$/gm)) {
    const [short = ''] = what!.replaceAll(/0x([0-9a-fA-F]{6})[0-9a-fA-F]+/g, '0x$1…').split(/, | \(| earned /);
    show.print(transactionLine(`${provider.spec.name}: ${short}`, hash!, BigInt(gas!)));
  }
}

/** Runs `assay …`. @returns what it printed @throws {Error} with what it complains of */
async function run(
  { entry, env }: Pick<Setting, 'entry' | 'env'>,
  who: string,
  args: readonly string[],
): Promise<string> {
  const inherited = Object.entries(env).filter(([name]) => !name.startsWith('ASSAY_'));
  const child = spawn(process.execPath, [entry, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: Object.fromEntries(inherited),
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    err += String(chunk);
  });
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`${who}: ${err.trim() || `assay ${args[0]} ended with ${String(code)}`}`);
  return out;
}

async function until(show: Pick<ChainShow, 'clock'>, why: string, isDone: () => Promise<boolean>): Promise<void> {
  for (let waits = 0; waits < WAITS_MAX; waits++) {
    if (await isDone()) return;
    await show.clock.sleep(WAIT_MS);
  }
  throw new Error(why);
}

interface ProviderView {
  readonly id: string;
  readonly role: string;
  readonly stake_nano: string;
  readonly earnings_nano: string;
}

async function seesStake({ gateway, providers }: ChainShow): Promise<boolean> {
  const { data } = await readJson<{ data: ProviderView[] }>(gateway, '/v1/providers');
  const staked = data.filter(({ stake_nano: stake }) => BigInt(stake) > 0n);
  return staked.length >= members(providers).length;
}

/** A client's escrow, and a voucher out of it: what the gateway pays its providers from. */
async function payIn(show: ChainShow): Promise<void> {
  const { stage, gateway, print } = show;
  print('');
  print('A client puts money into escrow and signs a voucher, which the gateway redeems:');
  const key = await funded(show, ESCROW_DEMO, 'a client');
  const client = await stage.access(key);
  const { Settlement } = stage.network.addresses;
  const deposit = ESCROW_DEMO * DEMO;
  const approve = { callee: 'token' as const, functionName: 'approve', args: [Settlement, deposit] };
  await stage.send(client, 'client: let Settlement take the deposit', approve);
  const args = [gateway.address, deposit];
  await stage.send(client, `client: ${ESCROW_DEMO} DEMO into escrow`, {
    callee: 'Settlement',
    functionName: 'deposit',
    args,
  });
  const cumulative = VOUCHER_DEMO * DEMO;
  const voucher = { settlement: Settlement, client: client.sender, gateway: gateway.address, epoch: 0n, cumulative };
  const signature = nativeSigner(key).sign(chainDigests.voucher(stage.network.domain, voucher));
  const body = JSON.stringify({ client: client.sender, epoch: '0', cumulative: cumulative.toString(), signature });
  // Refused until the gateway has read the deposit.
  await until(show, 'the gateway does not take the voucher', async () => {
    const headers = { 'content-type': 'application/json' };
    return (await fetch(`${gateway.url}/v1/vouchers`, { method: 'POST', headers, body })).ok;
  });
  const pool = z.object({ funded: z.bigint() });
  await until(show, 'the voucher was not redeemed', async () => {
    const call = { callee: 'Settlement' as const, functionName: 'poolOf', args: [gateway.address] };
    return pool.parse(await stage.rich.read(call)).funded > 0n;
  });
}

async function funded({ stage, rng }: ChainShow, demo: bigint, who: string): Promise<Uint8Array> {
  const key = newPrivateKey(rng);
  await stage.give(nativeSigner(key).address, demo, who);
  return key;
}

async function hasRoot({ stage, gateway }: ChainShow): Promise<boolean> {
  const pool = z.object({ rootCount: z.bigint(), committed: z.bigint() });
  const call = { callee: 'Settlement' as const, functionName: 'poolOf', args: [gateway.address] };
  return pool.parse(await stage.rich.read(call)).committed > 0n;
}

async function canClaim(show: ChainShow, payee: Address): Promise<boolean> {
  const { gateway } = show;
  const { data } = await readJson<{ data: ProviderView[] }>(gateway, '/v1/providers');
  // Who was never drawn has earned nothing.
  if (BigInt(data.find(({ id }) => id === payee)?.earnings_nano ?? '0') === 0n) return false;
  const asked = async () => (await fetch(`${gateway.url}/v1/earnings/${payee}`)).ok;
  await until(show, `the gateway proves no earnings of ${payee}`, asked);
  return true;
}

async function showEnd({ stage, gateway, providers, print }: ChainShow): Promise<boolean> {
  const account = z.object({ active: z.bigint() });
  print('');
  print('On the chain:');
  for (const { address, spec } of members(providers)) {
    const held = account.parse(
      await stage.rich.read({ callee: 'StakeRegistry', functionName: 'accountOf', args: [address] }),
    );
    const claimed = z
      .bigint()
      .parse(
        await stage.rich.read({ callee: 'Settlement', functionName: 'claimed', args: [gateway.address, address] }),
      );
    print(`  ${spec.name}  stake ${String(held.active / DEMO).padStart(5)} DEMO  claimed ${claimed} nano-DEMO`);
  }
  const problems = await gateway.checkBooks();
  print(problems.length === 0 ? 'Books balance.' : `Books do not balance: ${problems.length} problems.`);
  return problems.length === 0;
}
