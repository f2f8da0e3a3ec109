/** Checks against the public log: checkpoint, inclusion, and the draw that it had bound before (SPEC.md §10.4). Pure. */

import type { InlineReceipt } from './assay-member.ts';
import { type Statement, type StatementWire, statementHash } from './attestation.ts';
import {
  admittedOrder,
  drawKeyInTree,
  drawOrder,
  drawSeed,
  isEntryAdmitted,
  orderHash,
  type Snapshot,
  seatsFrom,
  snapshotHash,
} from './draw.ts';
import { type Address, fromHex } from './hash.ts';
import { type Checkpoint, type LogEntry, logLeaf } from './log.ts';
import { verifyInclusion } from './merkle.ts';
import type { Policy } from './policy.ts';
import { policyJsonSchema, policyOfJson } from './policy-json.ts';
import type { ProviderFilter } from './provider-filter.ts';
import { safeParse } from './schema.ts';
import { finding, notChecked, type VerifyItem } from './verify-item.ts';
import { seatsOf } from './verify-record.ts';
import { witnessDrawProblem } from './verify-witnessed.ts';

/** What the log must say about this statement. */
export function answerEntry(statement: StatementWire): LogEntry {
  return {
    type: 'answer',
    requestId: statement.requestId,
    epoch: statement.draw.epoch,
    drawIndex: statement.draw.index,
    statementHash: statementHash(statement),
    atMs: statement.issuedAtMs,
  };
}

/** The statement's own entry stands in the log, at the index that the statement names. */
export function checkAnswerEntry(wire: StatementWire, receipt: InlineReceipt, checkpoint: Checkpoint): VerifyItem {
  const covered = wire.logIndex < checkpoint.size;
  const included = entryIncluded(answerEntry(wire), wire.logIndex, receipt.inclusion, checkpoint);
  const problem = covered ? 'the answer is not in the log at its index' : 'the checkpoint is older than the answer';
  return finding('log-inclusion', included ? null : problem, `entry ${wire.logIndex} of ${checkpoint.size}`);
}

/** The epoch, with draw keys and registry, was logged before the answer. */
export function checkEpochEntry(statement: Statement, receipt: InlineReceipt, checkpoint: Checkpoint): VerifyItem {
  const { index, entry, inclusion } = receipt.epoch;
  let problem: string | null = null;
  if (!entryIncluded(entry, index, inclusion, checkpoint)) problem = 'the epoch is not in the log at its index';
  else if (entry.type !== 'epoch' || entry.epoch !== statement.draw.epoch) problem = 'the entry is of another epoch';
  else if (index >= statement.logIndex) problem = 'the epoch was logged after the answer';
  return finding('epoch-inclusion', problem, `entry ${index} of ${checkpoint.size}`);
}

function entryIncluded(entry: LogEntry, index: number, inclusion: readonly `0x${string}`[], checkpoint: Checkpoint) {
  const path = inclusion.map(fromHex);
  return verifyInclusion(fromHex(logLeaf(entry)), index, checkpoint.size, path, fromHex(checkpoint.root));
}

/**
 * The committee is the one that the opened key, the client's body and the registry lead to.
 * @param isSigned whether the order that a receipt states, if it does, is signed by the gateway
 */
export function checkDraw(statement: Statement, receipt: InlineReceipt, isSigned: boolean): VerifyItem {
  const seats = seatsOf(statement).length;
  const problem = isSigned ? drawProblem(statement, receipt) : 'the order is not signed by the gateway';
  return finding('draw', problem, `${seats} seats recomputed from key ${statement.draw.index}`);
}

function drawProblem(statement: Statement, receipt: InlineReceipt): string | null {
  const { epoch, snapshot } = receipt;
  const { draw } = statement;
  const { entry } = epoch;
  if (entry.type !== 'epoch') return 'the receipt has no epoch';
  if (entry.drawSize !== draw.size) return 'the draw is from a tree of another size';
  if (!drawKeyInTree(draw.index, draw.key, draw.path, draw.size, entry.drawRoot)) {
    return 'the opened key is not the one that was committed';
  }
  const hash = snapshotHash(snapshot);
  if (hash !== draw.snapshotHash || hash !== entry.snapshotHash) return 'the registry is not the one that was logged';
  // A provider listed twice would be drawn with twice its weight.
  const sorted = snapshot.entries.every((item, at) => at === 0 || snapshot.entries[at - 1]!.address < item.address);
  if (!sorted) return 'the registry is not in order';
  const seed = drawSeed(draw.key, statement.bodyHash, statement.clientNonce);
  const order = drawOrder(snapshot, statement.request.modelDigest, seed);
  if (receipt.draw !== undefined && receipt.draw.orderHash !== orderHash(order)) {
    return 'the signed order is not the one that the opened key leads to';
  }
  const members = seatsOf(statement).map(({ member }) => member);
  // One candidate per operator; whoever is skipped makes room for the next operator, not for the same one's next provider.
  const nobody = { providers: new Set<Address>(), operators: new Set<string>() };
  const skipped = new Set(draw.skipped.map(({ provider }) => provider));
  const policy = policyOf(statement);
  if (policy === null) return 'the attested policy is malformed';
  const { filter } = policy;
  const admitted = admittedOrder(order, snapshot, statement.request.modelDigest, filter);
  const candidates = seatsFrom(admitted, snapshot, order.length, nobody).filter((address) => !skipped.has(address));
  const drawn = candidates.slice(0, members.length);
  if (drawn.length !== members.length || drawn.some((address, seat) => address !== members[seat]!.provider)) {
    return 'the committee is not the one that was drawn';
  }
  const operators = new Map(snapshot.entries.map((item) => [item.address, item.operator]));
  const renamed = members.find((member) => operators.get(member.provider) !== member.operator);
  return renamed
    ? `${renamed.provider} sat for another operator than registered`
    : (scorerProblem(statement, snapshot, filter) ??
        (policy.mode === 'witnessed' ? witnessDrawProblem(statement, policy, candidates.slice(members.length)) : null));
}

function policyOf(statement: Statement): Policy | null {
  const policy = safeParse(policyJsonSchema, statement.policy);
  return policy.success ? policyOfJson(policy.data) : null;
}

/** Scorers come out of the same registry: else a gateway could make up as many that accept as it needs. */
function scorerProblem(statement: Statement, snapshot: Snapshot, filter: ProviderFilter): string | null {
  const { modelDigest } = statement.request;
  const registered = new Map(snapshot.entries.map((item) => [item.address, item]));
  for (const { provider, operator, role } of statement.scores) {
    const entry = registered.get(provider);
    if (role === 'referee') {
      if (entry) return `${provider} is registered as a member, and is passed off as the referee`;
    } else if (entry?.operator !== operator || !entry.modelDigests.includes(modelDigest)) {
      return `${provider} scored without being registered for it`;
    } else if (!isEntryAdmitted(entry, modelDigest, filter)) {
      return `${provider} scored though the policy keeps it away`;
    }
  }
  return null;
}

/** Skips need a reason that was logged before; the receipt names the entries, the log has them. */
export function checkSkips(statement: Statement): VerifyItem | null {
  const { skipped } = statement.draw;
  if (skipped.length === 0) return null;
  const late = skipped.find(({ logIndex }) => logIndex >= statement.logIndex);
  if (late) return finding('draw-skips', `the reason to skip ${late.provider} was logged after the answer`, '');
  const entries = skipped.map(({ logIndex }) => logIndex).join(', ');
  return notChecked('draw-skips', `${skipped.length} providers skipped; look up log entries ${entries}`);
}
