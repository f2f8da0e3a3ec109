/** The committee draw: committed keys, opened per request, a stake-weighted permutation (SPEC.md §8). Pure. */
import { canonicalJson } from './canonical.ts';
import { type Address, concat, fromHex, type Hash, hmacSha256, taggedHash, toHex, u32, u64, utf8 } from './hash.ts';
import { leafHash, type MerkleLevels, merkleLevels, pathIn, rootIn, verifyInclusion } from './merkle.ts';
import { isAdmitted, type ProviderFilter } from './provider-filter.ts';
import { clientNonceHash } from './request.ts';
import { TAGS } from './version.ts';

/** One provider as the draw sees it. Stake is a decimal string of nano-units. */
export interface SnapshotEntry {
  readonly address: Address;
  readonly operator: string;
  readonly stakeNano: string;
  readonly modelDigests: readonly Hash[];
  /** As its manifest claims; absent in registries of gateways that did not record it. */
  readonly region?: string | undefined;
  /** Of each model, in the order of `modelDigests`. */
  readonly numericClasses?: readonly string[] | undefined;
}

/** The registry at the start of an epoch, entries by ascending address; referees are not in it. */
export interface Snapshot {
  readonly capNano: string;
  readonly entries: readonly SnapshotEntry[];
}

export function snapshotHash(snapshot: Snapshot): Hash {
  return toHex(taggedHash(TAGS.snapshot, utf8(canonicalJson(snapshot))));
}

/** Key of draw `index` (0-based) in `epoch`: HMAC-SHA256(secret, tag ‖ 0 ‖ epoch ‖ index). */
export function drawKey(epochSecret: Uint8Array, epoch: number, index: number): Hash {
  return toHex(hmacSha256(epochSecret, concat(utf8(TAGS.drawKey), Uint8Array.of(0), u64(BigInt(epoch)), u32(index))));
}

function drawKeyLeaf(index: number, key: Hash): Uint8Array {
  return leafHash(concat(u32(index), fromHex(key)));
}

/** The epoch's keys as a Merkle tree: the root goes into the log before the first draw. @param size at least 1 */
export function drawKeyTree(
  epochSecret: Uint8Array,
  epoch: number,
  size: number,
): { root: Hash; levels: MerkleLevels } {
  const levels = merkleLevels(
    Array.from({ length: size }, (_, index) => drawKeyLeaf(index, drawKey(epochSecret, epoch, index))),
  );
  return { root: toHex(rootIn(levels)), levels };
}

/** Opening of one key; `levels` as drawKeyTree returned them. */
export function drawKeyPath(levels: MerkleLevels, index: number): Hash[] {
  return pathIn(levels, index).map(toHex);
}

export function drawKeyInTree(index: number, key: Hash, path: readonly Hash[], size: number, root: Hash): boolean {
  return verifyInclusion(drawKeyLeaf(index, key), index, size, path.map(fromHex), fromHex(root));
}

/** Seed of one draw: HMAC(k_i, bodyHash ‖ sha256(client nonce)). The client's part keeps the gateway from choosing it. */
export function drawSeed(key: Hash, bodyHash: Hash, clientNonce: string | null): Uint8Array {
  return hmacSha256(
    fromHex(key),
    concat(utf8(TAGS.draw), Uint8Array.of(0), fromHex(bodyHash), clientNonceHash(clientNonce)),
  );
}

/**
 * Full permutation of the snapshot's providers that serve the model, heavier stake (capped) earlier in expectation:
 * repeated weighted choice without replacement. Providers without stake come last, by the same rule with weight 1.
 */
export function drawOrder(snapshot: Snapshot, modelDigest: Hash, seed: Uint8Array): Address[] {
  const cap = BigInt(snapshot.capNano);
  const serving = snapshot.entries.filter((entry) => entry.modelDigests.includes(modelDigest));
  const weigh = (entry: SnapshotEntry): bigint => {
    const stake = BigInt(entry.stakeNano);
    return stake > cap ? cap : stake;
  };
  const staked = serving.filter((entry) => weigh(entry) > 0n);
  const unstaked = serving.filter((entry) => weigh(entry) === 0n);
  return [...pick(staked, weigh, seed, 0), ...pick(unstaked, () => 1n, seed, staked.length)];
}

/** Hash of a whole order, before policies filter it: H(tag, u32(count) ‖ addresses) (spec-chain.md C1). */
export function orderHash(order: readonly Address[]): Hash {
  return toHex(taggedHash(TAGS.order, u32(order.length), ...order.map(fromHex)));
}

function pick(
  entries: readonly SnapshotEntry[],
  weigh: (entry: SnapshotEntry) => bigint,
  seed: Uint8Array,
  firstStep: number,
): Address[] {
  const left = [...entries];
  const order: Address[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, entry) => sum + weigh(entry), 0n);
    // 256 random bits modulo a total below 2^96: the bias is below 2^-160.
    let point = BigInt(toHex(hmacSha256(seed, u32(firstStep + order.length)))) % total;
    const at = left.findIndex((entry) => {
      point -= weigh(entry);
      return point < 0n;
    });
    order.push(left[at]!.address);
    left.splice(at, 1);
  }
  return order;
}

/** The order without whom the policy keeps away: they make room for others, of the same operator too. */
export function admittedOrder(
  order: readonly Address[],
  snapshot: Snapshot,
  modelDigest: Hash,
  filter: ProviderFilter,
): Address[] {
  const entries = new Map(snapshot.entries.map((entry) => [entry.address, entry]));
  return order.filter((address) => isEntryAdmitted(entries.get(address)!, modelDigest, filter));
}

/** Whether a registered provider may see a request for the model. */
export function isEntryAdmitted(entry: SnapshotEntry, modelDigest: Hash, filter: ProviderFilter): boolean {
  const { operator, region, numericClasses, modelDigests } = entry;
  return isAdmitted(filter, { operator, region, numericClass: numericClasses?.[modelDigests.indexOf(modelDigest)] });
}

/**
 * The first `count` of the order that may sit: one seat per operator, nobody who is skipped or already seated.
 * Shorter than `count` where the pool is too small.
 */
export function seatsFrom(
  order: readonly Address[],
  snapshot: Snapshot,
  count: number,
  excluded: { providers: ReadonlySet<Address>; operators: ReadonlySet<string> },
): Address[] {
  const operatorOf = new Map(snapshot.entries.map((entry) => [entry.address, entry.operator]));
  const taken = new Set(excluded.operators);
  const seats: Address[] = [];
  for (const address of order) {
    if (seats.length === count) break;
    const operator = operatorOf.get(address)!;
    if (excluded.providers.has(address) || taken.has(operator)) continue;
    taken.add(operator);
    seats.push(address);
  }
  return seats;
}
