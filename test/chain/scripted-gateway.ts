/** A gateway that shows what a test tells it to: its log, disputes and keys, staked and signed for a real chain. */
import { auditCommitment } from '#protocol/audit';
import type { Contradiction } from '#protocol/contradiction';
import { drawKey, drawKeyPath, drawKeyTree } from '#protocol/draw';
import { type Address, fromHex, type Hash, type Hex, toHex } from '#protocol/hash';
import { type LogEntry, type LogSigner, logLeaf, signCheckpoint } from '#protocol/log';
import { merkleRoot } from '#protocol/merkle';
import { portableSigner, type Signer } from '#protocol/signer';
import type { TwoRoots } from '#protocol/two-roots';
import type { ChainAccess } from '../../contracts/chain/access.ts';
import { logSignerOf } from '../../gateway/attest/log-signer.ts';
import { stake } from '../../provider/chain/stake.ts';
import type { TestNetwork } from './chain-fixture.ts';

export const GATEWAY_URL = 'http://gateway.test';
export const PROVIDER_URL = 'http://provider.test';
const ORIGIN = 'gateway.test/log';
const HASH = (byte: number): Hash => toHex(new Uint8Array(32).fill(byte));

/** Some entry that is not of an epoch. */
export const entryOf = (n: number): LogEntry => ({
  type: 'answer',
  requestId: `request-${n}`,
  epoch: 0,
  drawIndex: n,
  statementHash: HASH(n % 256),
  atMs: 1_000 + n,
});

const EPOCH_SIZE = 4;
const secretOf = (epoch: number): Uint8Array => new Uint8Array(32).fill(epoch + 1);

/** @param auditPpm null for an epoch that has committed to no audits, 0 for one that tries no scorers */
export function epochEntry(epoch: number, auditPpm: number | null = null): LogEntry {
  const { root } = drawKeyTree(secretOf(epoch), epoch, EPOCH_SIZE);
  const commitment = auditPpm === null ? {} : { auditCommitment: auditCommitment(auditSecretOf(epoch)) };
  const audits = auditPpm === null || auditPpm === 0 ? commitment : { ...commitment, auditPpm };
  return {
    type: 'epoch',
    epoch,
    drawRoot: root,
    drawSize: EPOCH_SIZE,
    snapshotHash: HASH(9),
    ...audits,
    atMs: 500 + epoch,
  };
}

const auditSecretOf = (epoch: number): Hash => HASH(0x40 + epoch);

/** What opens an epoch's audits. */
export function auditEntry(epoch: number, secret = auditSecretOf(epoch)): LogEntry {
  return { type: 'audit', epoch, secret, atMs: 900 + epoch };
}

export class ScriptedGateway {
  readonly signer: Signer;
  readonly log: LogSigner;
  readonly account: Address;
  entries: LogEntry[] = [entryOf(0), entryOf(1), entryOf(2)];
  /** Shown in place of the checkpoint of `entries`. */
  note: string | null = null;
  disputes: { job_id: Hash; provider: Address; contradiction: Contradiction | null }[] = [];
  twoRoots: TwoRoots[] = [];
  hidesKeys = false;
  readonly #net: TestNetwork;

  readonly chain: ChainAccess;

  constructor(net: TestNetwork, party: { key: Hex; chain: ChainAccess }) {
    this.#net = net;
    this.chain = party.chain;
    this.signer = portableSigner(fromHex(party.key));
    this.account = party.chain.sender;
    this.log = logSignerOf(ORIGIN, fromHex(party.key), this.signer);
  }

  /** A signed note of any entries. */
  noteOf(entries: readonly LogEntry[]): string {
    const root = toHex(merkleRoot(entries.map((entry) => fromHex(logLeaf(entry)))));
    return signCheckpoint(this.#net.network.domain, this.log, { size: entries.length, root });
  }

  /** The HTTP side, of the gateway and of one provider. */
  fetch = async (url: string): Promise<Response> => {
    const { pathname, searchParams, origin } = new URL(url);
    if (origin === PROVIDER_URL) return json({ items: this.twoRoots });
    if (pathname === '/v1/log/checkpoint') return new Response(this.note ?? this.noteOf(this.entries));
    if (pathname === '/v1/log/entries') {
      const [start, end] = [Number(searchParams.get('start')), Number(searchParams.get('end'))];
      const rows = this.entries.slice(start, Math.min(end, start + 2));
      return json({ data: rows.map((entry, at) => ({ index: start + at, entry })) });
    }
    if (pathname === '/v1/disputes') {
      return json({ data: this.disputes.map((dispute) => ({ id: HASH(1), ...dispute })) });
    }
    const key = /^\/v1\/epochs\/(\d+)\/keys\/(\d+)$/.exec(pathname);
    if (key && !this.hidesKeys) {
      const [epoch, index] = [Number(key[1]), Number(key[2])];
      const { levels } = drawKeyTree(secretOf(epoch), epoch, EPOCH_SIZE);
      return json({ epoch, index, key: drawKey(secretOf(epoch), epoch, index), path: drawKeyPath(levels, index) });
    }
    return json({ error: { message: 'There is no such thing.' } }, 404);
  };
}

function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status });
}

/** A gateway with stake and its log named. */
export async function stakedGateway(net: TestNetwork): Promise<ScriptedGateway> {
  const party = await net.party(100n);
  const gateway = new ScriptedGateway(net, party);
  await stakeParty(party, gateway.signer);
  const args = [party.chain.sender, ORIGIN];
  await party.chain.send({ callee: 'StakeRegistry', functionName: 'nameLog', args });
  return gateway;
}

/** A provider with stake, signing with its account's own key. */
export async function stakedProvider(net: TestNetwork) {
  const party = await net.party(100n);
  const signer = portableSigner(fromHex(party.key));
  await stakeParty(party, signer);
  return { ...party, signer };
}

async function stakeParty(party: Awaited<ReturnType<TestNetwork['party']>>, signer: Signer): Promise<void> {
  const order = { amount: '50', signer, manifestHash: HASH(0), dryRun: false };
  await stake(party.chain, order, { print: () => undefined });
}
