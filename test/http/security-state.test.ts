/** What a quote and `assay-security` say of security follows from what the network is at that moment: stake, pay, operators (spec-money.md §11.12). */
import { expect, test } from 'vitest';
import { parseAttestation } from '#protocol/attestation';
import { earningsAccount } from '../../gateway/ledger/accounts.ts';
import { balanceNano } from '../../gateway/store/ledger-repo.ts';
import { API_KEY, STAKE_NANO } from '../fixtures/network.ts';
import type { ToyNetwork } from '../fixtures/toy-network.ts';
import { toyNetworks } from '../fixtures/toy-networks.ts';
import { TOY_MODEL } from '../simulation/toy-machine.ts';

const open = toyNetworks();
const AUDITS = { ratePpm: null, regeneratePpm: 0, delayMs: 0, withinMs: 3_600_000 };
const COUNTS = { model: TOY_MODEL.id, prompt_tokens: 200, max_tokens: 200 };

type Security = Readonly<Record<string, string | number>>;

interface Quote {
  readonly security: Security;
  readonly price: { readonly quote_nano: string };
  readonly cheapest?: { readonly policy: object; readonly policy_text: string; readonly quote_nano: string } | null;
}

async function quoteOf(network: ToyNetwork, fields: object): Promise<Quote> {
  const reply = await network.call('/v1/quote', {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ ...COUNTS, ...fields }),
  });
  expect(reply.status).toBe(200);
  return (await reply.json()) as Quote;
}

async function securityOf(network: ToyNetwork, verification: string): Promise<Security> {
  return (await quoteOf(network, { verification })).security;
}

/** A movement of the ledger; references name it once. */
function move(network: ToyNetwork, path: '/deposits' | '/withdrawals', account: string, amountNano: bigint) {
  const reference = `${path.slice(1, 4)}-${account.slice(0, 30).replace(':', '-')}-${amountNano}`;
  return network.admin('POST', path, { account, amount_nano: amountNano.toString(), reference });
}

/** Leaves every member this stake, and begins an epoch that knows of it. */
async function withdrawTo(network: ToyNetwork, stakeNano: bigint, hadNano = STAKE_NANO): Promise<void> {
  for (const { address } of network.members) {
    const { status } = await move(network, '/withdrawals', `stake:${address}`, hadNano - stakeNano);
    expect(status).toBe(201);
  }
  network.gateway.epochs.renew();
}

test('less stake at risk: audits come more often and cost more, and what a cheat loses falls, to where it wins at ten answers’ price', async () => {
  const network = await open({ members: 5, limits: { audits: AUDITS } });
  const rich = await securityOf(network, 'audited');
  const seatNano = 50_000n;
  expect(rich).toMatchObject({ stake_at_risk_nano: STAKE_NANO.toString(), audit_rate: 0.01 });
  expect(BigInt(rich.cheat_loss_nano!) > 0n).toBe(true);
  await withdrawTo(network, 100n * seatNano);
  const poor = await securityOf(network, 'audited');
  expect(poor).toMatchObject({ stake_at_risk_nano: (100n * seatNano).toString(), audit_rate: 0.25 });
  expect(poor.price_multiple).toBeGreaterThan(rich.price_multiple as number);
  expect(poor.price_multiple).toBeLessThanOrEqual(1.15);
  // All of them are new: what they cheat on is looked at by an audit, or by the examination before their first pay leaves.
  const poorNano = BigInt(poor.cheat_loss_nano!);
  expect(poorNano > 0n && poorNano < BigInt(rich.cheat_loss_nano!)).toBe(true);
  expect(poor).not.toHaveProperty('undeterred');
  // A rate that the client asks for moves it too.
  const asked = await securityOf(network, 'audited; audit_rate=1');
  expect(BigInt(asked.cheat_loss_nano!) > poorNano).toBe(true);
  expect(asked.audit_rate).toBe(1);
  expect(BigInt((await securityOf(network, 'quorum; n=3')).cheat_loss_nano!)).toBe(20n * seatNano - 45_000n);
  await withdrawTo(network, 10n * seatNano, 100n * seatNano);
  const poorest = await securityOf(network, 'audited');
  expect(BigInt(poorest.cheat_loss_nano!) < 0n).toBe(true);
  expect(poorest.undeterred).toBe('int8');
});

test('the operator’s floor raises the rate, its ceiling cuts it and the quote says that cheats pay then, and a client may ask for more than either', async () => {
  const bounds = { floorPpm: 50_000, ceilingPpm: 60_000 };
  const network = await open({ members: 5, limits: { audits: { ...AUDITS, bounds } } });
  const rich = await securityOf(network, 'audited');
  expect(rich.audit_rate).toBe(0.05);
  // A score reads 400 tokens at a quarter of what the 200 of the answer cost: two fifths of the seat's price.
  expect(rich.price_multiple).toBe(1.02);
  expect(BigInt(rich.cheat_loss_nano!) > 0n).toBe(true);
  await withdrawTo(network, 10n * 50_000n);
  const poor = await securityOf(network, 'audited');
  expect(poor.audit_rate).toBe(0.06);
  expect(BigInt(poor.cheat_loss_nano!) < 0n).toBe(true);
  expect(poor.undeterred).toContain('int8');
  expect((await securityOf(network, 'audited; audit_rate=0.5')).audit_rate).toBe(0.5);
  expect((await securityOf(network, 'audited; audit_rate=0.01')).audit_rate).toBe(0.06);
  const { saved, headers } = await network.ask('hello', { verification: 'audited', max_tokens: 200 });
  const { assay } = JSON.parse(saved) as { assay: { attestation: string } };
  expect(parseAttestation(assay.attestation)!.statement.audit).toMatchObject({ ppm: 60_000 });
  expect(headers.get('assay-security')).toContain('audit_rate=0.06');
});

test('a target that the providers’ own rates do not meet gets the least rate that does, for what it then costs', async () => {
  const bounds = { floorPpm: 10_000, ceilingPpm: 60_000 };
  const network = await open({ members: 5, limits: { audits: { ...AUDITS, bounds }, reexamineMs: 0 } });
  await withdrawTo(network, 200n * 50_000n);
  const own = await securityOf(network, 'audited');
  expect(own).toMatchObject({ audit_rate: 0.06, finality_seconds: 3_600 });
  expect(own.undeterred).toContain('int8');
  const { cheapest } = await quoteOf(network, { target: { deters: true } });
  // 0.3 · 64 / (40 - 0.024), by thousandths: a fifth of the stake, and nobody is examined here.
  expect(cheapest!.policy).toMatchObject({ mode: 'audited', audit_rate: 0.481 });
  const bought = await quoteOf(network, { verification: cheapest!.policy_text });
  expect(bought.price.quote_nano).toBe(cheapest!.quote_nano);
  expect(BigInt(bought.security.cheat_loss_nano!) > 0n).toBe(true);
  const less = await securityOf(network, 'audited; audit_rate=0.48');
  expect(BigInt(less.cheat_loss_nano!) <= 0n).toBe(true);
});

test('who answers with less at stake makes the answer’s own header say so', async () => {
  const network = await open({ members: 4, limits: { audits: AUDITS } });
  const lossOf = async () => {
    const { headers } = await network.ask('hello', { verification: 'audited', max_tokens: 200 });
    return BigInt(/cheat_loss_nano="(-?\d+)"/.exec(headers.get('assay-security')!)![1]!);
  };
  const before = await lossOf();
  await network.gateway.settled();
  await withdrawTo(network, 1_000_000n);
  expect((await lossOf()) < before).toBe(true);
});

test('pay for a lone answer cannot be withdrawn for a week, pay of a committee at once', async () => {
  const network = await open({ members: 3, limits: { audits: { ...AUDITS, ratePpm: 1 } } });
  await network.ask('hello', { verification: 'quorum; n=3', max_tokens: 8 });
  const compared = await earningsOf(network);
  for (let at = 0; at < 3; at++) await network.ask(`alone ${at}`, { verification: 'audited', max_tokens: 8 });
  await network.gateway.settled();
  const all = await earningsOf(network);
  const [address, earned] = [...all].find(([one, nano]) => nano > compared.get(one)!)!;
  const account = `earnings:${address}`;
  const refused = await move(network, '/withdrawals', account, earned);
  expect(refused).toMatchObject({ status: 400, body: { error: { code: 'invalid_request', param: 'amount_nano' } } });
  expect((await move(network, '/withdrawals', account, compared.get(address)!)).status).toBe(201);
  // What has left is no refusal when it is asked for again, though nothing more may go.
  expect((await move(network, '/withdrawals', account, compared.get(address)!)).status).toBe(200);
  expect((await move(network, '/withdrawals', account, 1n)).status).toBe(400);
});

function earningsOf({ store, members }: ToyNetwork): Promise<Map<string, bigint>> {
  return store.read(async (handle) => {
    const earned = new Map<string, bigint>();
    for (const { address } of members) earned.set(address, await balanceNano(handle, earningsAccount(address)));
    return earned;
  });
}
