/** Every EIP-712 struct of the protocol, with its digest (SPEC.md §2). A field's order is part of the protocol. */
import { type Domain, defineStruct, typedDigest } from './eip712.ts';
import { type Address, type Hash, toHex } from './hash.ts';

/** What is asked, without the prompt itself. `seed` is uint64. */
export interface RequestTerms {
  readonly model: string;
  readonly modelDigest: Hash;
  readonly promptHash: Hash;
  readonly samplingHash: Hash;
  readonly seed: bigint;
  readonly maxTokens: number;
  readonly nonce: Hash;
}
export const RequestStruct = defineStruct<RequestTerms>('Request', [
  ['model', 'string'],
  ['modelDigest', 'bytes32'],
  ['promptHash', 'bytes32'],
  ['samplingHash', 'bytes32'],
  ['seed', 'uint64'],
  ['maxTokens', 'uint32'],
  ['nonce', 'bytes32'],
]);
/** requestHash = hashStruct(Request): no domain, so that it is the same on every chain. */
export const requestHash = (terms: RequestTerms): Hash => toHex(RequestStruct.hash(terms));

/** Job kinds a ticket can order. */
export const TICKET_KINDS = { generate: 0, score: 1 } as const;

/** The gateway's order for one job. Times in milliseconds; prices in nano-units per million tokens. */
export interface Ticket {
  readonly jobId: Hash;
  readonly requestHash: Hash;
  readonly roundId: Hash;
  readonly provider: Address;
  readonly kind: number;
  /** Hash of the job's body (chunk schedule, or what is to be scored). */
  readonly jobHash: Hash;
  /** H(padSeed): binds the padding before anyone commits. */
  readonly padHash: Hash;
  readonly inputNanoPerMtok: bigint;
  readonly outputNanoPerMtok: bigint;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
  /** Until when the provider answers evidence requests. */
  readonly retainUntilMs: number;
  /** Hash of the newest log checkpoint the gateway has signed, or zero. */
  readonly checkpoint: Hash;
}
export const TicketStruct = defineStruct<Ticket>('Ticket', [
  ['jobId', 'bytes32'],
  ['requestHash', 'bytes32'],
  ['roundId', 'bytes32'],
  ['provider', 'address'],
  ['kind', 'uint8'],
  ['jobHash', 'bytes32'],
  ['padHash', 'bytes32'],
  ['inputNanoPerMtok', 'uint64'],
  ['outputNanoPerMtok', 'uint64'],
  ['issuedAtMs', 'uint64'],
  ['expiresAtMs', 'uint64'],
  ['retainUntilMs', 'uint64'],
  ['checkpoint', 'bytes32'],
]);

/** A provider's sealed chunk. Two with one (jobId, index) and different hashes are an equivocation. */
export interface SignedCommitment {
  readonly jobId: Hash;
  readonly index: number;
  readonly commitment: Hash;
}
export const CommitmentStruct = defineStruct<SignedCommitment>('Commitment', [
  ['jobId', 'bytes32'],
  ['index', 'uint32'],
  ['commitment', 'bytes32'],
]);

/** The gateway's permission to open chunk `index`: one signature for all members of the round. */
export interface Permission {
  readonly roundId: Hash;
  readonly index: number;
  readonly roundRoot: Hash;
}
export const PermissionStruct = defineStruct<Permission>('Permission', [
  ['roundId', 'bytes32'],
  ['index', 'uint32'],
  ['roundRoot', 'bytes32'],
]);

/** An opening as the provider signs it; one that does not hash to the signed commitment is a bad opening. */
export interface Opening {
  readonly jobId: Hash;
  readonly index: number;
  readonly previous: Hash;
  readonly previousRoot: Hash;
  readonly tokenCount: number;
  readonly last: boolean;
  readonly tokensHash: Hash;
  readonly evidenceRoot: Hash;
  readonly salt: Hash;
}
export const RevealStruct = defineStruct<Opening>('Reveal', [
  ['jobId', 'bytes32'],
  ['index', 'uint32'],
  ['previous', 'bytes32'],
  ['previousRoot', 'bytes32'],
  ['tokenCount', 'uint32'],
  ['last', 'bool'],
  ['tokensHash', 'bytes32'],
  ['evidenceRoot', 'bytes32'],
  ['salt', 'bytes32'],
]);

/** How a transcript ended. `cancelled`: the gateway asked the member to stop. */
export const FINISH_KINDS = ['stop', 'stop_string', 'length', 'cancelled'] as const;
export type FinishKind = (typeof FINISH_KINDS)[number];

/** A provider's statement on its finished transcript. Two that differ for one job are an equivocation. */
export interface Claim {
  readonly jobId: Hash;
  readonly ticketHash: Hash;
  readonly requestHash: Hash;
  readonly roundId: Hash;
  readonly provider: Address;
  readonly transcriptHash: Hash;
  readonly lastCommitment: Hash;
  readonly rootsHash: Hash;
  readonly chunkCount: number;
  readonly outputTokens: number;
  /** Index into FINISH_KINDS. */
  readonly finish: number;
  /** The checkpoint of the ticket, signed back: a witness against split views of the log. */
  readonly checkpoint: Hash;
}
export const ClaimStruct = defineStruct<Claim>('Claim', [
  ['jobId', 'bytes32'],
  ['ticketHash', 'bytes32'],
  ['requestHash', 'bytes32'],
  ['roundId', 'bytes32'],
  ['provider', 'address'],
  ['transcriptHash', 'bytes32'],
  ['lastCommitment', 'bytes32'],
  ['rootsHash', 'bytes32'],
  ['chunkCount', 'uint32'],
  ['outputTokens', 'uint32'],
  ['finish', 'uint8'],
  ['checkpoint', 'bytes32'],
]);

/** A scorer's statement: its evidence for every claimed token. */
export interface Score {
  readonly jobId: Hash;
  readonly ticketHash: Hash;
  readonly provider: Address;
  /** Hash of prompt and claimed tokens that were scored. */
  readonly transcriptHash: Hash;
  readonly evidenceRoot: Hash;
  readonly outputTokens: number;
}
export const ScoreStruct = defineStruct<Score>('Score', [
  ['jobId', 'bytes32'],
  ['ticketHash', 'bytes32'],
  ['provider', 'address'],
  ['transcriptHash', 'bytes32'],
  ['evidenceRoot', 'bytes32'],
  ['outputTokens', 'uint32'],
]);

/** A provider's refusal of a ticket; logged, it lets the draw skip the provider. */
export interface Refusal {
  readonly jobId: Hash;
  readonly ticketHash: Hash;
  readonly code: string;
  readonly atMs: number;
}
export const RefusalStruct = defineStruct<Refusal>('Refusal', [
  ['jobId', 'bytes32'],
  ['ticketHash', 'bytes32'],
  ['code', 'string'],
  ['atMs', 'uint64'],
]);

/** A provider's manifest, by the hash of its canonical JSON. */
export interface ManifestSeal {
  readonly manifestHash: Hash;
  readonly issuedAtMs: number;
}
export const ManifestStruct = defineStruct<ManifestSeal>('Manifest', [
  ['manifestHash', 'bytes32'],
  ['issuedAtMs', 'uint64'],
]);

/** The gateway's statement on one answer. */
export interface AttestationSeal {
  readonly requestId: string;
  readonly requestHash: Hash;
  readonly contentHash: Hash;
  /** Hash over the digests of all listed claims, in order. */
  readonly claimsHash: Hash;
  /** Index into VERDICTS. */
  readonly verdict: number;
  readonly logIndex: number;
  readonly issuedAtMs: number;
  /** Hash of the canonical JSON of the whole statement. */
  readonly statementHash: Hash;
}
export const AttestationStruct = defineStruct<AttestationSeal>('Attestation', [
  ['requestId', 'string'],
  ['requestHash', 'bytes32'],
  ['contentHash', 'bytes32'],
  ['claimsHash', 'bytes32'],
  ['verdict', 'uint8'],
  ['logIndex', 'uint64'],
  ['issuedAtMs', 'uint64'],
  ['statementHash', 'bytes32'],
]);

/** A log head; one size is signed once. */
export interface CheckpointSeal {
  readonly origin: string;
  readonly size: number;
  readonly root: Hash;
}
export const CheckpointStruct = defineStruct<CheckpointSeal>('Checkpoint', [
  ['origin', 'string'],
  ['size', 'uint64'],
  ['root', 'bytes32'],
]);

/** One move of a dispute, signed by whoever makes it. */
export interface DisputeMove {
  readonly disputeId: Hash;
  readonly sequence: number;
  readonly kind: string;
  readonly bodyHash: Hash;
  readonly atMs: number;
}
export const DisputeMoveStruct = defineStruct<DisputeMove>('DisputeMove', [
  ['disputeId', 'bytes32'],
  ['sequence', 'uint32'],
  ['kind', 'string'],
  ['bodyHash', 'bytes32'],
  ['atMs', 'uint64'],
]);

/** A gateway's next signing key, signed by the key before it and by itself: who trusts the one may trust the other. */
export interface KeySuccession {
  readonly previous: Address;
  readonly next: Address;
  readonly atMs: number;
}
export const KeySuccessionStruct = defineStruct<KeySuccession>('KeySuccession', [
  ['previous', 'address'],
  ['next', 'address'],
  ['atMs', 'uint64'],
]);

/** A provider's call to a gateway, signed: whose it is, to whom, what exactly, when, and once. */
export interface ProviderCall {
  readonly provider: Address;
  readonly gateway: Address;
  readonly method: string;
  /** Path with its query, as it is sent. */
  readonly path: string;
  /** SHA-256 of the body's bytes. */
  readonly bodyHash: Hash;
  readonly atMs: number;
  readonly nonce: Hash;
}
export const ProviderCallStruct = defineStruct<ProviderCall>('ProviderCall', [
  ['provider', 'address'],
  ['gateway', 'address'],
  ['method', 'string'],
  ['path', 'string'],
  ['bodyHash', 'bytes32'],
  ['atMs', 'uint64'],
  ['nonce', 'bytes32'],
]);

export const digests = {
  ticket: (domain: Domain, value: Ticket) => typedDigest(domain, TicketStruct, value),
  commitment: (domain: Domain, value: SignedCommitment) => typedDigest(domain, CommitmentStruct, value),
  permission: (domain: Domain, value: Permission) => typedDigest(domain, PermissionStruct, value),
  reveal: (domain: Domain, value: Opening) => typedDigest(domain, RevealStruct, value),
  claim: (domain: Domain, value: Claim) => typedDigest(domain, ClaimStruct, value),
  score: (domain: Domain, value: Score) => typedDigest(domain, ScoreStruct, value),
  refusal: (domain: Domain, value: Refusal) => typedDigest(domain, RefusalStruct, value),
  manifest: (domain: Domain, value: ManifestSeal) => typedDigest(domain, ManifestStruct, value),
  attestation: (domain: Domain, value: AttestationSeal) => typedDigest(domain, AttestationStruct, value),
  checkpoint: (domain: Domain, value: CheckpointSeal) => typedDigest(domain, CheckpointStruct, value),
  disputeMove: (domain: Domain, value: DisputeMove) => typedDigest(domain, DisputeMoveStruct, value),
  keySuccession: (domain: Domain, value: KeySuccession) => typedDigest(domain, KeySuccessionStruct, value),
  providerCall: (domain: Domain, value: ProviderCall) => typedDigest(domain, ProviderCallStruct, value),
} as const;
