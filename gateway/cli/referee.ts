/** `assay referee`: who sits in a chain's referee set judges again what a gateway has upheld, and signs (spec-chain.md C7, C9.8). */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { canonicalJson } from '#protocol/canonical';
import { chainDigests, rightHash } from '#protocol/chain-messages';
import { EXIT_FAILED, EXIT_MISUSED, EXIT_OK, parseCommandLine } from '#protocol/command-line';
import { type Address, type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import { readModel } from '#protocol/model-folder';
import { parsePrivateKey } from '#protocol/private-key';
import { signCall } from '#protocol/provider-call';
import { safeParse, zAddress, zHash, zU128 } from '#protocol/schema';
import { baseUrl } from '#protocol/settings';
import type { Signer } from '#protocol/signer';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { createTextModel } from '#protocol/text';
import { type ChainAccess, openChain } from '../../contracts/chain/access.ts';
import { parseNetwork } from '../../contracts/chain/network.ts';
import { caseName, JUDGED_FAULTS, OUTCOME_NUMBERS } from '../chain/case-calls.ts';
import { type DisputeBundle, zDisputeBundle } from '../dispute/bundle.ts';
import { type Court, findingOf } from '../dispute/finding.ts';
import { folderReader, readCalibrations } from '../model-reader.ts';
import { type CliIo, reasonOf } from './cli-io.ts';
import { checkDivision } from './referee-division.ts';

const USAGE = `assay referee --gateway <url> --network <file> --rpc-url <url> --key <file> --model-folders <list> [--dry-run]

Looks once at every case of a gateway that waits for its referees: reads the evidence, checks that it is what the contract was told, judges it
again by itself, and signs. What the evidence does not decide is not signed. To be run every few hours: a first ruling has 3 days.

  --gateway <url>          whose cases
  --network <file>         what \`assay deploy\` wrote
  --rpc-url <url>          JSON-RPC of a node of its chain
  --key <file>             private key of a member of a referee set (0x and 64 hex digits); it needs no coin
  --model-folders <list>   folders of the models that are judged, by commas, with their calibrations
  --dry-run                say what would be signed, and sign nothing
  --help                   print this text

Exit codes: 0 done, 1 a case could not be judged, 2 used wrongly.`;

const VALUED = ['gateway', 'network', 'rpc-url', 'key', 'model-folders'] as const;

export interface RefereeIo extends CliIo {
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
}

const zCase = z.object({
  id: zHash,
  dispute_id: zHash,
  account: zAddress,
  bundle_hash: zHash,
  state: z.string(),
  division: z.object({ client: zAddress, refund: zU128, right: z.array(zAddress).max(15) }),
  voices: z.array(z.object({ instance: z.number(), referee: zAddress })),
});
type Case = z.output<typeof zCase>;
const zCases = z.object({ data: z.array(zCase).max(1000) });
const zKeys = z.object({ address: zAddress });
const zOnChain = z.object({ account: z.string(), state: z.number(), version: z.number(), disputeId: zHash });
/** Places of the contract's states. */
const OPENED = 1;
const APPEALED = 3;

/** One referee at work. */
export interface Bench {
  readonly gateway: string;
  readonly gatewayAddress: Address;
  readonly chain: ChainAccess;
  readonly signer: Signer;
  readonly courtOf: (modelDigest: Hash) => Court;
  readonly isDryRun: boolean;
  readonly io: RefereeIo;
}

/** @returns the exit code */
export async function runReferee(argv: readonly string[], io: RefereeIo): Promise<number> {
  const line = parseCommandLine(argv, { valued: VALUED, switches: ['help', 'dry-run'] });
  if (line.switches.has('help')) {
    io.print(USAGE);
    return EXIT_OK;
  }
  const missing = VALUED.filter((name) => !line.values.has(name)).map((name) => `--${name} is missing`);
  const problems = [...line.problems, ...missing];
  const gateway = baseUrl(line.values.get('gateway') ?? 'http://none');
  if ('problem' in gateway) problems.push('--gateway must be a base URL');
  if (problems.length > 0 || 'problem' in gateway) {
    for (const problem of problems) io.fail(`assay referee: ${problem}`);
    return EXIT_MISUSED;
  }
  try {
    const bench = await benchOf(line.values, gateway.value, line.switches.has('dry-run'), io);
    return (await judgeCases(bench)) === 0 ? EXIT_OK : EXIT_FAILED;
  } catch (error) {
    io.fail(`assay referee: ${reasonOf(error)}`);
    return EXIT_FAILED;
  }
}

/** Judges every case that waits for this referee. @returns how many could not be judged @throws {Error} where somebody does not answer */
export async function judgeCases(bench: Bench): Promise<number> {
  const { data } = zCases.parse(await json(bench.io, `${bench.gateway}/v1/cases`));
  let undecided = 0;
  for (const one of data) if (!(await judge(bench, one))) undecided++;
  return undecided;
}

async function benchOf(
  values: ReadonlyMap<string, string>,
  gateway: string,
  isDryRun: boolean,
  io: RefereeIo,
): Promise<Bench> {
  const network = parseNetwork(readFileSync(values.get('network')!, 'utf8'));
  if (network === null) throw new Error('--network is not a file that `assay deploy` writes');
  const privateKey = parsePrivateKey(readFileSync(values.get('key')!, 'utf8'));
  const chain = await openChain({ network, rpcUrl: values.get('rpc-url')!, privateKey });
  const { address } = zKeys.parse(await json(io, `${gateway}/v1/log/keys`));
  const courts = new Map<Hash, Court>();
  const common = { domain: network.domain, recover: recoverNative };
  for (const folder of values.get('model-folders')!.split(',')) {
    const reader = folderReader(folder);
    const model = await readModel(reader);
    const calibrations = await readCalibrations(reader, model.modelDigest);
    const calibrationOf = (hash: Hash) => calibrations.find((known) => known.hash === hash)?.calibration ?? null;
    courts.set(model.modelDigest, { ...common, text: createTextModel(model.textFiles), calibrationOf });
  }
  const noCourt = { ...common, text: null, calibrationOf: () => null };
  const courtOf = (modelDigest: Hash) => courts.get(modelDigest) ?? noCourt;
  return { gateway, gatewayAddress: address, chain, signer: nativeSigner(privateKey), courtOf, isDryRun, io };
}

/** @returns false where it waits for this referee, and the evidence does not decide it */
async function judge(bench: Bench, one: Case): Promise<boolean> {
  const { chain, signer, io } = bench;
  const call = (functionName: string, args: readonly unknown[]) =>
    chain.read({ callee: 'Rulings', functionName, args });
  // The contract says where the case stands; the gateway only shows the way to it.
  const held = zOnChain.parse(await call('caseOf', [one.id]));
  const instance = held.state === OPENED ? 0 : held.state === APPEALED ? 1 : null;
  if (instance === null) return true;
  if ((await call('isReferee', [held.version, instance, signer.address])) !== true) return true;
  if (one.voices.some((voice) => voice.instance === instance && voice.referee === signer.address)) return true;
  const why = (text: string): false => {
    io.fail(`case ${one.id}: ${text}`);
    return false;
  };
  const bundle = await bundleOf(bench, one);
  if (typeof bundle === 'string') return why(bundle);
  const { ruling, finding } = findingOf(bundle, bench.courtOf(bundle.terms.modelDigest));
  if (ruling === 'abandoned')
    return why(`the evidence does not decide it (${finding?.reason ?? 'no model, or no finding'})`);
  const { client, refund, right } = one.division;
  const wrong = await checkDivision(
    { chain, gatewayAddress: bench.gatewayAddress, ask: (path) => ask(bench, path) },
    one,
    bundle,
    { client, refund: BigInt(refund), right },
  );
  if (wrong !== null) return why(`its division does not follow from the evidence: ${wrong}`);
  io.print(
    `case ${one.id}: ${bundle.fault} by ${bundle.accused.provider}, ${ruling} (${finding?.reason ?? 'nothing found'})`,
  );
  io.print(`  refund ${refund} base units to ${client}; right: ${right.join(', ') || 'nobody'}`);
  if (bench.isDryRun) return true;
  const value = {
    ...{ caseId: one.id, instance, outcome: OUTCOME_NUMBERS[ruling], client, refund: BigInt(refund) },
    rightHash: rightHash(right),
  };
  const signature = signer.sign(chainDigests.ruling(chain.network.domain, value));
  const body = JSON.stringify({ instance, outcome: ruling, signature });
  const headers = { 'content-type': 'application/json' };
  await json(io, `${bench.gateway}/v1/cases/${one.dispute_id}/voices`, { method: 'POST', headers, body });
  return true;
}

/** Asks the gateway as a referee: what it shows to nobody else. */
async function ask({ gateway, gatewayAddress, chain, signer, io }: Bench, path: string): Promise<unknown> {
  const by = { domain: chain.network.domain, signer, gateway: gatewayAddress, nowMs: io.clock.nowMs(), rng: io.rng };
  const headers = signCall({ method: 'GET', path, body: new Uint8Array(0) }, by);
  return json(io, `${gateway}${path}`, { headers });
}

/** The evidence, where it is what the contract was told of; else what is wrong with it. */
async function bundleOf(bench: Bench, one: Case): Promise<DisputeBundle | string> {
  const { chain } = bench;
  const wire = await ask(bench, `/v1/cases/${one.dispute_id}/bundle`);
  const bundle = safeParse(zDisputeBundle, wire);
  if (!bundle.success) return 'its bundle has a form that this version does not know';
  const bundleHash = toHex(sha256(utf8(canonicalJson(wire))));
  const { fault, accused, disputeId } = bundle.data;
  const judged = JUDGED_FAULTS.find((known) => known === fault);
  if (judged === undefined) return 'its fault is none that referees judge';
  const named = caseName(chain.network.addresses.Rulings, {
    account: one.account,
    disputeId,
    bundleHash,
    fault: judged,
  });
  // Account, dispute, evidence and fault in one: what the contract froze is what this bundle is about.
  if (named !== one.id) return 'the bundle is not the one that the case was opened with';
  const answers = await chain.read({ callee: 'StakeRegistry', functionName: 'answers', args: [accused.provider] });
  if (String(answers).toLowerCase() !== one.account) return 'the account does not answer for the accused key';
  return bundle.data;
}

async function json(io: RefereeIo, url: string, init?: RequestInit): Promise<unknown> {
  const reply = await io.fetch(url, init);
  if (!reply.ok) throw new Error(`${new URL(url).pathname} answers ${reply.status}`);
  return reply.json();
}
