/** `assay escrow`: a client pays a gateway by vouchers, with an API key of its own making, and needs nobody's leave to leave. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import { type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import { parsePrivateKey } from '#protocol/private-key';
import { safeParse, zAddress } from '#protocol/schema';
import { baseUrl } from '#protocol/settings';
import { nativeSigner } from '#protocol/signer-native';
import { type ChainAccess, ChainError } from '../../contracts/chain/access.ts';
import { answersFor } from '../chain/account.ts';
import { escrowLine, moveEscrow, signEscrowKey, signVoucher } from '../chain/escrow.ts';
import { openWallet } from './chain-command.ts';
import { CommandError, type CommandIo, callJson, messageOf } from './command-io.ts';

const USAGE = `assay escrow --gateway <url> --network <file> --rpc-url <url> --key <file>

A client's money for one gateway, which takes no account with it: shows the escrow, or does in this order what is asked for.

  --deposit <amount>    put so much of the token into escrow; it stays the client's
  --pay <amount>        sign a voucher over so much, which the gateway redeems; it is spent by API keys
  --api-key <file>      let the API key in the file spend it; made where there is no file
  --revoke              the API key in the file spends nothing any more, for good
  --exit                begin to take out what no voucher has signed away
  --withdraw            take it out, three days later
  --gateway <url>       the gateway that is paid
  --network <file>      what \`assay deploy\` wrote
  --rpc-url <url>       JSON-RPC of a node of its chain
  --key <file>          private key of the client; it needs coin for gas
  --dry-run             say what would be sent, and send nothing
  --help                print this text
A gateway takes vouchers and keys once the deposit is final, and credits a voucher once its redemption is. Exit codes: 0 done, 1 failed, 2 used wrongly.`;

const VALUED = ['gateway', 'network', 'rpc-url', 'key', 'deposit', 'pay', 'api-key'] as const;
const SWITCHES = ['help', 'dry-run', 'revoke', 'exit', 'withdraw'] as const;
const KEY_BYTES = 24;

const zKeys = z.object({ address: zAddress });

/** @returns the exit code */
export async function runEscrow(argv: readonly string[], io: CommandIo): Promise<number> {
  const line = parseCommandLine(argv, { valued: VALUED, switches: SWITCHES });
  const { values, switches } = line;
  if (switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const problems = [...line.problems];
  for (const flag of ['gateway', 'network', 'rpc-url', 'key']) if (!values.has(flag)) problems.push(`needs --${flag}`);
  const url = baseUrl(values.get('gateway') ?? 'http://none');
  if ('problem' in url) problems.push('--gateway must be a base URL');
  if (switches.has('revoke') && !values.has('api-key')) problems.push('--revoke needs --api-key');
  if (problems.length > 0 || 'problem' in url) {
    for (const problem of problems) io.fail(`assay escrow: ${problem}`);
    return EXIT_MISUSED;
  }
  try {
    const none = { network: null, rpcUrl: null, accountKeyFile: null, keyFile: '' };
    await escrow(await openWallet(values, none), url.value, values, switches, io);
    return EXIT_OK;
  } catch (error) {
    if (!(error instanceof CommandError || error instanceof ChainError)) throw error;
    io.fail(`assay escrow: ${error.message}`);
    return EXIT_FAILED;
  }
}

async function escrow(
  chain: ChainAccess,
  url: string,
  values: ReadonlyMap<string, string>,
  switches: ReadonlySet<string>,
  io: CommandIo,
): Promise<void> {
  const gateway = await accountOfGateway(chain, url, io);
  const dryRun = switches.has('dry-run');
  const signer = nativeSigner(parsePrivateKey(readFileSync(values.get('key')!, 'utf8')));
  const [exit, withdraw] = [switches.has('exit'), switches.has('withdraw')];
  await moveEscrow(chain, { gateway, deposit: values.get('deposit') ?? null, exit, withdraw, dryRun }, io);
  const pay = values.get('pay');
  const keyFile = values.get('api-key');
  if (!dryRun && pay !== undefined) {
    const voucher = await signVoucher(chain, gateway, pay, signer);
    await post(io, `${url}/v1/vouchers`, voucher);
    io.print(`the gateway has taken a voucher over ${voucher.cumulative} base units in all`);
  }
  if (!dryRun && keyFile !== undefined) {
    const revoked = switches.has('revoke');
    const statement = signEscrowKey(chain, gateway, hashOfKey(keyFile, revoked, io), revoked, signer);
    await post(io, `${url}/v1/escrow/keys`, statement);
    io.print(revoked ? `the key in ${keyFile} spends nothing any more` : `the key in ${keyFile} spends it`);
  }
  io.print(await escrowLine(chain, gateway));
}

/** The account that answers for the gateway's signatures: a deposit for anybody else would pay nobody. @throws {CommandError} */
async function accountOfGateway(chain: ChainAccess, url: string, io: CommandIo) {
  const parsed = safeParse(zKeys, (await callJson(io, `${url}/v1/log/keys`)).body);
  if (!parsed.success) throw new CommandError(`${url} does not say who signs for it`);
  const account = await answersFor(chain, parsed.data.address);
  if (account === null) throw new CommandError(`no account of the chain answers for ${parsed.data.address}`);
  return account;
}

/** SHA-256 of the API key in a file, which is made where there is none. @throws {CommandError} */
function hashOfKey(file: string, mustBe: boolean, io: CommandIo): Hash {
  if (!existsSync(file)) {
    if (mustBe) throw new CommandError(`${file} is not there`);
    const made = `sk-assay-${Buffer.from(io.rng.bytes(KEY_BYTES)).toString('base64url')}`;
    writeFileSync(file, `${made}\n`, { mode: 0o600, flag: 'wx' });
  }
  const key = readFileSync(file, 'utf8').trim();
  if (key === '') throw new CommandError(`${file} is empty`);
  return toHex(sha256(utf8(key)));
}

async function post(io: CommandIo, url: string, body: object): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const { status, body: reply } = await callJson(io, url, { method: 'POST', headers, body: JSON.stringify(body) });
  if (status !== 200 && status !== 201) throw new CommandError(`the gateway refuses it: ${messageOf(reply)}`);
}
