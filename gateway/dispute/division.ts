/**
 * Who may be paid out of a slash before a chain's referees, by what the gateway has attested to the client of the request: its own books are no
 * evidence (spec-chain.md C9.8). Pure.
 */
import { type Statement, type StatementWire, sealOf } from '#protocol/attestation';
import { choicesOf } from '#protocol/choices';
import type { Address } from '#protocol/hash';
import { outputHash } from '#protocol/request';
import { digests } from '#protocol/typed';
import { checkClaims, checkCommitments, checkScores, checkTickets } from '#protocol/verify-record';
import type { SignatureCheck } from './authentic.ts';
import type { DisputeBundle } from './bundle.ts';

/** What is proposed, in base units of the token. */
export interface ProposedDivision {
  readonly client: Address;
  readonly refund: bigint;
  readonly right: readonly Address[];
}

/** What a judge of a division knows. */
export interface DivisionGrounds {
  /** Of the request; null where the gateway shows none: then nobody is refunded, and nobody was right. */
  readonly statement: Statement | null;
  readonly bundle: DisputeBundle;
  /** The account of the StakeRegistry that answers for a provider's key; who has none is missing. */
  readonly accounts: ReadonlyMap<Address, Address>;
  /** The accused account and its operator, and the gateway's: nobody of them is paid. */
  readonly barred: readonly Address[];
  /** What the client was charged for the request. */
  readonly charged: bigint;
  /** Whether the client has paid this gateway out of an escrow. */
  readonly hasPaid: boolean;
}

type Accused = { readonly provider: string; readonly requestHash: string; readonly tokens: readonly number[] };

/** What `rightByStatement` asks of a bundle. */
export function accusedIn({ accused }: DisputeBundle): Accused {
  return { provider: accused.provider, requestHash: accused.ticket.requestHash, tokens: accused.tokens };
}

/**
 * Providers that a statement shows to have had a part in what stood: members that count, and scorers, of the choice that the accused answered
 * (of all choices where it answered none, as an attempt before). Whoever gave the same wrong tokens was not right.
 */
export function rightByStatement(statement: Statement | null, accused: Accused, fault: string): ReadonlySet<string> {
  if (statement === null) return new Set();
  const all = choicesOf(statement);
  const own = all.filter((choice) => choice.requestHash === accused.requestHash);
  const choices = own.length > 0 ? own : all;
  const wrong = fault === 'wrong_output' ? outputHash(accused.tokens) : null;
  const members = choices.flatMap(({ waves }) => waves.flatMap((wave) => wave.members));
  const right = members.filter(
    ({ standing, claim }) =>
      (standing === 'counted' || standing === 'equivalent') && claim?.value.transcriptHash !== wrong,
  );
  const scorers = choices.flatMap(({ scores }) => scores.filter(({ role }) => role === 'member'));
  const fallen = members.filter(
    ({ standing, claim }) => standing === 'rejected' || claim?.value.transcriptHash === wrong,
  );
  const providers = new Set<string>([...right, ...scorers].map(({ provider }) => provider));
  for (const { provider } of fallen) providers.delete(provider);
  providers.delete(accused.provider);
  return providers;
}

/** What is wrong with a statement as evidence: not the gateway's, of another request, or with claims and scores that nobody signed; null where nothing is. */
export function statementProblem(
  {
    statement,
    wire,
    signature,
  }: { readonly statement: Statement; readonly wire: StatementWire; readonly signature: `0x${string}` },
  requestId: string,
  { domain, recover }: SignatureCheck,
): string | null {
  if (statement.requestId !== requestId) return 'the attestation is of another request';
  if (recover(digests.attestation(domain, sealOf(domain, wire)), signature) !== statement.gateway) {
    return 'the gateway did not sign the attestation';
  }
  const items = choicesOf(statement).flatMap((choice) => [
    checkTickets(choice),
    checkClaims(choice, domain, recover),
    checkCommitments(choice),
    checkScores(choice, domain, recover, null),
  ]);
  const failed = items.find((item) => item !== null && item.status === 'failed');
  return failed === undefined || failed === null ? null : `the attestation does not hold: ${failed.detail}`;
}

/** What is wrong with a proposed division, in one sentence; null where it follows from the attestation. Refund first, then those who were right. */
export function divisionProblem({ client, refund, right }: ProposedDivision, grounds: DivisionGrounds): string | null {
  const { statement, bundle, accounts, barred, charged, hasPaid } = grounds;
  const isNobody = BigInt(client) === 0n;
  if (isNobody !== (refund === 0n)) return 'a refund needs a client, and a client a refund';
  if (refund > (statement === null ? 0n : charged)) return 'the refund is more than the client was charged';
  if (!isNobody && barred.includes(client)) return 'the refund is for the accused, or for the gateway';
  if (!isNobody && !hasPaid) return 'the refund is for somebody who has paid nothing out of an escrow';
  const allowed = new Set<string>();
  for (const provider of rightByStatement(statement, accusedIn(bundle), bundle.fault)) {
    const account = accounts.get(provider as Address);
    if (account !== undefined) allowed.add(account);
  }
  const stranger = right.find((account) => !allowed.has(account) || barred.includes(account));
  return stranger === undefined ? null : `${stranger} is named as right, and was not`;
}
