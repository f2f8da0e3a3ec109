/** Statements, seals and receipts against requests, rounds and the log (SPEC.md §10). */

import {
  parseAttestation,
  type StatementWire,
  sealOf,
  statementHash,
  wavesOf,
  zReceipt,
  zStatement,
} from '#protocol/attestation';
import { canonicalJson } from '#protocol/canonical';
import { fromHex, type Hash } from '#protocol/hash';
import { logLeaf } from '#protocol/log';
import { verifyInclusion } from '#protocol/merkle';
import { safeParse, zSignature } from '#protocol/schema';
import { digests } from '#protocol/typed';
import { answeredAs } from '../ledger/settle.ts';
import { signedFormOf } from '../store/attestations-repo.ts';
import type { WholeDatabase } from '../store/whole-database.ts';
import type { CheckedLog, FsckKeys } from './check-log.ts';
import { type Damage, damage } from './damage.ts';

type Row = WholeDatabase['attestations'][number];

interface Context {
  readonly log: CheckedLog;
  readonly keys: FsckKeys;
  readonly requests: ReadonlyMap<string, WholeDatabase['requests'][number]>;
  /** `roundId/index` to root. */
  readonly roots: ReadonlyMap<string, string>;
  /** Size to root. */
  readonly checkpoints: ReadonlyMap<number, string>;
}

export function checkAttestations(rows: WholeDatabase, log: CheckedLog, keys: FsckKeys): Damage[] {
  const context: Context = {
    log,
    keys,
    requests: new Map(rows.requests.map((request) => [request.requestId, request])),
    roots: new Map(rows.rounds.map((round) => [`${round.roundId}/${round.roundIndex}`, round.roundRoot])),
    checkpoints: new Map(rows.checkpoints.map(({ size, root }) => [size, root])),
  };
  const present = new Set(rows.attestations.map(({ requestId }) => requestId));
  const missing = rows.requests
    .filter(({ state, requestId }) => state === 'settled' && !present.has(requestId))
    .map(({ requestId }) => damage('attestation_missing', requestId, 'settled'));
  return [...missing, ...rows.attestations.flatMap((row) => checkOne(row, context))];
}

function checkOne(row: Row, context: Context): Damage[] {
  const { requestId, logIndex, statementJson } = row;
  const request = context.requests.get(requestId);
  const wrong = (what: string) => [damage('attestation_wrong', requestId, what)];
  if (request?.state !== 'settled' || request.logIndex !== logIndex) return wrong(`log index ${logIndex}`);
  // After its retention nothing but hash and place are left.
  if (statementJson === null) return row.compact === null && row.receiptJson === null ? [] : wrong('kept in part');
  const statement = readStatement(statementJson);
  if (statement === null) return [damage('unreadable_row', requestId, 'statement')];
  const entry = context.log.entries[logIndex];
  if (entry?.type !== 'answer' || entry.statementHash !== statementHash(statement)) return wrong('not as logged');
  if (statement.requestId !== requestId || statement.logIndex !== logIndex) return wrong('about another request');
  if (statement.contentHash !== row.contentHash) return wrong('content hash');
  if (BigInt(statement.price.chargedNano) !== request.chargedNano) return wrong('price');
  if (answeredAs(statement.verdict) !== request.verdict) return wrong('verdict');
  return [...checkRoots(statement, context), ...checkSeal(row, statement, context), ...checkReceipt(row, context)];
}

function readStatement(text: string): StatementWire | null {
  try {
    const wire = JSON.parse(text) as StatementWire;
    return safeParse(zStatement, wire).success && canonicalJson(wire) === text ? wire : null;
  } catch {
    return null;
  }
}

function checkRoots(statement: StatementWire, { roots }: Context): Damage[] {
  return wavesOf(statement).flatMap(({ roundId, roots: shown }) =>
    shown.flatMap((root, index) => {
      const place = `${roundId}/${index}`;
      return roots.get(place) === root ? [] : [damage('round_wrong', place, `answer ${statement.requestId}`)];
    }),
  );
}

function checkSeal(row: Row, statement: StatementWire, context: Context): Damage[] {
  const { requestId, statementJson } = row;
  const compact = signedForm(row);
  if (compact === null) return [];
  const parsed = parseAttestation(compact);
  if (parsed === null || canonicalJson(parsed.wire) !== statementJson) {
    return [damage('attestation_wrong', requestId, 'the signed form says something else')];
  }
  const { domain, recover } = context.keys;
  const signer = recover(digests.attestation(domain, sealOf(domain, statement)), parsed.signature);
  const isOurs = signer === statement.gateway && context.log.gateways.has(signer);
  return isOurs ? [] : [damage('attestation_wrong', requestId, 'signature')];
}

/** What is no signature is taken for the whole form, which it then is not. */
function signedForm(row: Row): string | null {
  return row.compact !== null && safeParse(zSignature, row.compact).success ? signedFormOf(row) : row.compact;
}

function checkReceipt(row: Row, context: Context): Damage[] {
  const { requestId, logIndex, receiptJson } = row;
  if (receiptJson === null) return [];
  const wrong = (what: string) => [damage('receipt_wrong', requestId, what)];
  const parsed = parseReceipt(receiptJson);
  if (parsed === null) return [damage('unreadable_row', requestId, 'receipt')];
  if (parsed.attestation !== signedForm(row)) return wrong('attestation');
  // The note itself is checked with its checkpoint; here only that it is one of ours counts.
  const size = Number(parsed.checkpoint.split('\n')[1]);
  const root = context.checkpoints.get(size);
  const entry = context.log.entries[logIndex];
  if (root === undefined || !entry) return wrong(`checkpoint ${size}`);
  const leaf = fromHex(logLeaf(entry));
  const path = parsed.inclusion.map((hash) => fromHex(hash as Hash));
  return verifyInclusion(leaf, logIndex, size, path, fromHex(root as Hash)) ? [] : wrong('inclusion');
}

function parseReceipt(text: string) {
  try {
    const parsed = safeParse(zReceipt, JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
