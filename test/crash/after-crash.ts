/** What must hold once a killed gateway has started again: its database against itself, and against what left it before. */

import { canonicalJson } from '#protocol/canonical';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { fromHex, type Hash, toHex } from '#protocol/hash';
import { checkpointHash } from '#protocol/log';
import { nodeHash } from '#protocol/merkle';
import { recoverNative } from '#protocol/signer-native';
import { damageLine } from '../../gateway/fsck/damage.ts';
import { findDamage } from '../../gateway/fsck/fsck.ts';
import { readWholeDatabase, type WholeDatabase } from '../../gateway/store/whole-database.ts';
import type { KeyedCall } from './traffic.ts';
import type { Witness } from './witness.ts';

/** What is remembered of one data folder between checks. */
export interface FolderHistory {
  /** Leaf hashes of the log as they were read last. */
  leaves: string[];
  /** Root of every size, from 1. */
  readonly roots: Hash[];
}

export interface AfterCrash {
  readonly database: string;
  readonly origin: string;
  readonly witness: Witness;
  readonly history: FolderHistory;
  readonly calls: ReadonlyMap<string, KeyedCall>;
  /** Whether nothing may be open: recovery is over and nobody has asked since. */
  readonly recovered: boolean;
}

/** @returns what is wrong, one line each */
export async function checkAfterCrash(options: AfterCrash): Promise<string[]> {
  const { report, rows } = await readWholeDatabase(options.database);
  const found = findDamage(report, rows, { domain: LOCAL_DOMAIN, recover: recoverNative }).map(damageLine);
  if (options.recovered) {
    for (const { requestId, state } of rows.requests) {
      if (state === 'accepted' || state === 'running') found.push(`recovery left ${requestId} ${state}`);
    }
  }
  return [
    ...found,
    ...checkLogHistory(rows, options),
    ...checkSigned(rows, options.witness),
    ...checkKeyed(rows, options.calls),
  ];
}

/** Append-only, and every checkpoint that anybody has seen is a prefix of it. */
function checkLogHistory(rows: WholeDatabase, { history, witness, origin }: AfterCrash): string[] {
  const leaves = rows.logEntries.map(({ leafHash }) => leafHash);
  const found: string[] = [];
  const changed = history.leaves.findIndex((leaf, index) => leaves[index] !== leaf);
  if (changed >= 0) found.push(`the log lost or changed entry ${changed}`);
  extendRoots(history.roots, leaves);
  history.leaves = leaves;
  for (const [size, root] of witness.checkpoints) {
    if (history.roots[size - 1] !== root) found.push(`the log contradicts its signed checkpoint of size ${size}`);
  }
  const known = new Set(history.roots.map((root, i) => checkpointHash(origin, { size: i + 1, root })));
  for (const hash of witness.checkpointHashes) {
    if (!known.has(hash)) found.push(`a ticket carried a checkpoint that the log does not lead to: ${hash}`);
  }
  return found;
}

/** RFC 6962 roots of all sizes from the stack of complete subtrees: written apart from the gateway's own tree. */
function extendRoots(roots: Hash[], leaves: readonly string[]): void {
  const stack: { hash: Uint8Array; width: number }[] = [];
  for (const [index, leaf] of leaves.entries()) {
    let top = { hash: fromHex(leaf as Hash), width: 1 };
    for (let under = stack.at(-1); under && under.width === top.width; under = stack.at(-1)) {
      stack.pop();
      top = { hash: nodeHash(under.hash, top.hash), width: under.width * 2 };
    }
    stack.push(top);
    if (index < roots.length) continue;
    roots.push(toHex(stack.map(({ hash }) => hash).reduceRight((right, left) => nodeHash(left, right))));
  }
}

/** Tickets, permissions and statements that left are durable, and say the same. */
function checkSigned(rows: WholeDatabase, witness: Witness): string[] {
  const found: string[] = [];
  const jobs = new Map(rows.jobs.map((job) => [job.jobId, job.ticketJson]));
  for (const [jobId, ticket] of witness.tickets) {
    const stored = jobs.get(jobId);
    if (stored === undefined) found.push(`a ticket was signed for an unknown job: ${jobId}`);
    else if (canonicalJson(JSON.parse(stored)) !== ticket) found.push(`the ticket of job ${jobId} is another now`);
  }
  const roots = new Map(rows.rounds.map((round) => [`${round.roundId}/${round.roundIndex}`, round.roundRoot]));
  for (const [place, root] of witness.roots) {
    if (roots.get(place) !== root) found.push(`a permission was signed for another root than the stored one: ${place}`);
  }
  const requests = new Map(rows.requests.map((request) => [request.requestId, request]));
  const statements = new Map(rows.attestations.map((row) => [row.requestId, row.statementJson]));
  for (const { requestId, statementJson, chargedNano } of witness.answers.values()) {
    const request = requests.get(requestId);
    if (request?.state !== 'settled') found.push(`the answered request ${requestId} is ${request?.state ?? 'unknown'}`);
    else if (request.chargedNano !== chargedNano) found.push(`${requestId} was charged ${request.chargedNano} nano`);
    if (statements.get(requestId) !== statementJson) found.push(`the statement of ${requestId} is another now`);
  }
  return found;
}

/** One result and one charge a key: every attempt but one cost nothing and ended without an answer. */
function checkKeyed(rows: WholeDatabase, calls: ReadonlyMap<string, KeyedCall>): string[] {
  const found: string[] = [];
  const attempts = new Map<string, WholeDatabase['requests'][number][]>();
  for (const request of rows.requests) {
    attempts.set(request.bodyHash, [...(attempts.get(request.bodyHash) ?? []), request]);
  }
  const requests = new Map(rows.requests.map((request) => [request.requestId, request]));
  const latest = new Map(rows.idempotencyKeys.map((row) => [row.idempotencyKey, row]));
  for (const { key, content } of calls.values()) {
    const row = latest.get(key);
    if (row === undefined) {
      if (content !== null) found.push(`the answered key ${key} is unknown`);
      continue;
    }
    const own = attempts.get(requests.get(row.requestId)?.bodyHash ?? '') ?? [];
    const settled = own.filter(({ state }) => state === 'settled');
    if (settled.length > 1) found.push(`${settled.length} attempts of key ${key} are settled`);
    if (content !== null && settled.length !== 1) found.push(`the answered key ${key} has no settled attempt`);
    const charged = own.filter(({ chargedNano }) => chargedNano > 0n);
    if (charged.length > 1) found.push(`${charged.length} attempts of key ${key} are charged`);
  }
  return found;
}
