/** A real contract's referees, and a whole gateway on its chain with a liar among its providers: for tests of cases. */
import { createClock } from '#protocol/clock';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import type { Hash } from '#protocol/hash';
import { portableSigner, type Signer } from '#protocol/signer';
import { recoverNative } from '#protocol/signer-native';
import type { Bench } from '../../gateway/cli/referee.ts';
import type { CaseView } from '../../gateway/store/chain-cases-repo.ts';
import { accountOf } from '../../provider/chain/account.ts';
import { cheatOf } from '../fixtures/cheats.ts';
import { signerOf } from '../fixtures/toy-network.ts';
import { TOY_MODEL, toyCalibration, toyMachine } from '../simulation/toy-machine.ts';
import { type ChainGateway, startChainGateway } from './chain-gateway.ts';

export const [REFEREES, APPEAL] = [
  [21, 22, 23],
  [31, 32, 33, 34, 35],
].map((bytes) => bytes.map((byte) => portableSigner(new Uint8Array(32).fill(byte)))) as [Signer[], Signer[]];
export const LIAR = signerOf('p0').address;
/** In seconds. */
export const DAY = 86_400;
/** Never an early end: of two or three tokens of another model one in ten convicts nobody, of sixteen none. */
export const ASKED = { temperature: 1, logit_bias: { 0: -100 }, max_tokens: 16 };
const QUORUM = { verification: { mode: 'quorum', n: 5, agree: 4 } };

export interface Court {
  readonly gateway: ChainGateway;
  /** What everybody may see of a dispute's case. */
  caseOf(disputeId: string): Promise<CaseView | null>;
  /** Asks everybody until the liar is accused of what it answered there. @returns the dispute */
  newDispute(): Promise<Hash>;
  stakeOfLiar(): Promise<bigint | undefined>;
  /** Where a referee sits; what it says is added to `lines`. */
  benchOf(signer: Signer): Promise<Bench>;
  readonly lines: string[];
}

/** Five providers, of which one has another model than it says. */
export async function startCourt(): Promise<Court> {
  const members = (set: readonly Signer[]) => set.map(({ address }) => address);
  const tools = {
    other: toyMachine({ salt: 'small' }),
    signer: signerOf('p0'),
    domain: LOCAL_DOMAIN,
    forger: signerOf('f'),
  };
  const liar = cheatOf('smaller_model').engine!(toyMachine(), tools);
  const gateway = await startChainGateway(
    5,
    { first: members(REFEREES), appeal: members(APPEAL) },
    { engines: { p0: liar } },
  );
  const lines: string[] = [];
  return {
    gateway,
    lines,
    async caseOf(disputeId) {
      const reply = await gateway.toy.call(`/v1/disputes/${disputeId}`);
      return ((await reply.json()) as { case: CaseView | null }).case;
    },
    newDispute: () => newDispute(gateway),
    stakeOfLiar: async () => (await accountOf((await gateway.net.party(0n)).chain, LIAR))?.active,
    benchOf: (signer) => benchOf(gateway, signer, lines),
  };
}

/** By the request: what a conviction leads to may be in dispute before anybody has looked at the list. */
async function newDispute({ toy }: ChainGateway): Promise<Hash> {
  for (let tries = 0; tries < 8; tries++) {
    const { saved } = await toy.ask(`tell me more (${tries})`, { ...ASKED, ...QUORUM });
    const { id } = (JSON.parse(saved) as { assay: { id: string } }).assay;
    const { data } = (await (await toy.call('/v1/disputes')).json()) as { data: Told[] };
    const found = data.find(({ request_id: of, provider }) => of === id && provider === LIAR);
    if (found !== undefined) return found.id;
  }
  throw new Error('the liar was not caught');
}

interface Told {
  readonly id: Hash;
  readonly request_id: string;
  readonly provider: string;
}

async function benchOf({ net, toy }: ChainGateway, signer: Signer, lines: string[]): Promise<Bench> {
  const { domain } = net.network;
  return {
    gateway: 'http://gateway',
    gatewayAddress: signerOf('gateway').address,
    chain: (await net.party(0n)).chain,
    signer,
    courtOf: () => ({ domain, recover: recoverNative, text: TOY_MODEL.text, calibrationOf: toyCalibration }),
    isDryRun: false,
    io: {
      fetch: (url, init) => toy.call(url.slice('http://gateway'.length), init),
      clock: createClock({ now: () => Date.now(), after: () => () => undefined }),
      rng: { bytes: (length) => crypto.getRandomValues(new Uint8Array(length)) },
      print: (line) => void lines.push(line),
      fail: (line) => void lines.push(line),
    },
  };
}
