/** Ending a request: settlement, log, signature, disputes; or the hold released and the draw aborted (DESIGN §4.6, §11). */
import { type Receipt, type StatementWire, statementHash } from '#protocol/attestation';
import { canonicalJson } from '#protocol/canonical';
import { contentHash, type ResponseContent } from '#protocol/content';
import { type ErrorCode, ProtocolError } from '#protocol/errors';
import type { LogEntry } from '#protocol/log';
import { type ShownLogprobs, shownLogprobsHash } from '#protocol/logprobs';
import { SCORES_MAX } from '#protocol/schema';
import type { Standing, Verdict } from '#protocol/verdict';
import { leafOf } from '../attest/log-keeper.ts';
import { type AttemptRecord, buildStatement } from '../attest/statement.ts';
import { answeredAs, type UnansweredVerdict } from '../ledger/settle.ts';
import type { AnswerKeep, AnswerRequest, SealedAnswer } from '../openai/answer.ts';
import { failRequest, settleRequest } from '../store/close-request.ts';
import type { Tx } from '../store/handle.ts';
import type { JobStep } from '../store/record-work.ts';
import { type RequestRow, setSealedAnswer } from '../store/requests-repo.ts';
import type { PipelineDeps, Running } from './accept.ts';
import { accusedIn, argue, openDisputes, outcomeOf } from './accuse.ts';
import type { AttemptResult } from './attempt.ts';
import { inconclusive } from './attempt-errors.ts';
import type { Choice } from './choices.ts';
import { recordEnd } from './record-end.ts';
import { scorerStandings } from './scorer-standing.ts';
import { voteOf } from './scoring.ts';

/** Settles, logs and signs, in this order: nothing is signed before it is durable. */
export async function seal(
  deps: PipelineDeps,
  running: Running,
  results: readonly AttemptResult[],
  end: {
    readonly content: ResponseContent;
    readonly logprobs: readonly ShownLogprobs[] | null;
    readonly verdict: Verdict;
    readonly unverified: readonly string[];
  },
  keep?: AnswerKeep,
): Promise<SealedAnswer> {
  const { choices, request } = running;
  const { plan } = choices[0]!;
  const { verdict } = end;
  // Ended meanwhile: by its deadline, say, while nobody took the last words.
  if (running.closed) throw running.closedBy;
  running.isUnread = false;
  // What nobody could parse is not signed: an argument of that many scores has not been decided.
  if (choices.some(({ attempt }) => attempt.attestedScores.length > SCORES_MAX)) throw inconclusive();
  const issuedAtMs = deps.clock.nowMs();
  const accused = choices.map(accusedIn);
  const record: AttemptRecord = {
    gateway: deps.signer.address,
    bodyHash: request.bodyHash,
    clientNonce: request.clientNonce,
    policy: request.policy,
    epoch: running.epoch,
    drawIndex: running.drawIndex,
    draw: running.draw,
    audit: running.audit,
    prompts: request.prompts.length,
    choices: results.map((result, choice) => outcomeOf(accused[choice]!, result)),
    verdict,
    unverified: end.unverified,
  };
  const hash = contentHash(end.content);
  const logprobsHash = end.logprobs === null ? null : shownLogprobsHash(end.logprobs);
  const { statement, text, recorded } = await deps.store.withTx(async (tx) => {
    await openDisputes(tx, deps, accused, results);
    let made: StatementWire | null = null;
    let text = '';
    await settleRequest(tx, {
      requestId: plan.requestId,
      verdict: answeredAs(verdict),
      standings: standingsOf(choices, results),
      steps: lastStepsOf(choices),
      nowMs: issuedAtMs,
      audit: running.audit,
      record: (logIndex, settlement) => {
        const { chargedNano } = settlement;
        made = buildStatement(record, {
          contentHash: hash,
          logprobsHash,
          quoteNano: running.quoteNano,
          chargedNano,
          logIndex,
          issuedAtMs,
        });
        text = canonicalJson(made);
        return {
          leaf: leafOf({
            type: 'answer',
            requestId: plan.requestId,
            epoch: running.epoch.epoch,
            drawIndex: running.drawIndex,
            statementHash: statementHash(made, text),
            atMs: issuedAtMs,
          }),
          contentHash: hash,
          statementJson: text,
          retainUntilMs: plan.retainUntilMs,
        };
      },
    });
    await deps.audits.record(tx, running, results, issuedAtMs);
    await deps.reexaminer.keep(tx, running, results, issuedAtMs);
    if (keep) await keepAnswer(tx, request, keep.unfinished);
    return { statement: made!, text, recorded: await deps.log.record(tx) };
  });
  running.closed = true;
  argue(
    deps,
    accused.flatMap((choice) => choice.accusations),
  );
  const { receipt, stored } = await deps.receipts.seal(statement, text, recorded);
  deps.background(stored());
  const sealed = sealedOf(deps, receipt, statement);
  if (keep) {
    // Durable before the end of the answer leaves: what was received once is what every repeat receives.
    const finished = await keep.finished(sealed);
    await deps.store.withTx((tx) => keepAnswer(tx, request, finished));
  }
  return sealed;
}

/** The seal of an answer that was settled before, from what was stored. @throws {ProtocolError} not_found */
export async function sealedAnswer(deps: Pick<PipelineDeps, 'receipts'>, requestId: string): Promise<SealedAnswer> {
  const { receipt, statement } = await deps.receipts.find(requestId);
  return sealedOf(deps, receipt, statement);
}

function sealedOf(
  { receipts }: Pick<PipelineDeps, 'receipts'>,
  receipt: Receipt,
  statement: StatementWire,
): SealedAnswer {
  const url = `/v1/attestations/${statement.requestId}`;
  return {
    assay: {
      ...receipts.member(receipt, statement, url),
      ...shownOf(statement),
    },
    headers: sealedHeaders(statement, receipt.attestation, url),
  };
}

async function keepAnswer(tx: Tx, { keyId, requestId, keyed }: AnswerRequest, sealedText: string): Promise<void> {
  if (keyed) await setSealedAnswer(tx, { keyId, idempotencyKey: keyed.key, requestId }, sealedText);
}

/** What is shown beside the texts, for display: of several choices each one's own. */
function shownOf({ verdict, firstVerdict, agreement, faults, choices }: StatementWire) {
  const first = { verdict: firstVerdict ?? verdict, agreement };
  const others = choices ?? [];
  const each = [first, ...others.map((choice) => ({ verdict: choice.verdict, agreement: choice.agreement }))];
  return {
    agreement,
    faults: [...faults, ...others.flatMap((choice) => choice.faults)],
    ...(choices ? { choices: each } : {}),
  };
}

function lastStepsOf(choices: readonly Choice[]): JobStep[] {
  return choices.flatMap(({ journal, attempt }) => journal.lastSteps(attempt.members, attempt.scores));
}

/** Longest attestation that still travels as a header: 6 KB of the 16 that Node accepts. */
const HEADER_BYTES_MAX = 6 * 1024;

function sealedHeaders(statement: StatementWire, attestation: string, url: string): Record<string, string> {
  return {
    'assay-id': statement.requestId,
    'assay-verdict': statement.verdict,
    'assay-attestation': attestation.length <= HEADER_BYTES_MAX ? attestation : url,
  };
}

/** Ends a request without an answer, once. */
export async function fail(deps: PipelineDeps, running: Running, error: unknown): Promise<void> {
  if (running.closed) return;
  running.closed = true;
  running.closedBy = error;
  const { choices, request } = running;
  const accused = choices.map(accusedIn);
  const code = error instanceof ProtocolError ? error.code : 'internal_error';
  const atMs = deps.clock.nowMs();
  await recordEnd(deps, async () => {
    await deps.store.withTx(async (tx) => {
      await openDisputes(tx, deps, accused, []);
      await failRequest(tx, {
        requestId: request.requestId,
        verdict: verdictOf(code),
        standings: standingsOf(choices, []),
        steps: lastStepsOf(choices),
        errorCode: code,
        nowMs: atMs,
        leaf: (row) => leafOf(abortedEntry(row, code, atMs)),
      });
    });
    argue(
      deps,
      accused.flatMap((choice) => choice.accusations),
    );
  });
}

/** Only a client that left pays for what was revealed; one that left during an attempt that failed anyway does not. */
function verdictOf(code: ErrorCode): UnansweredVerdict {
  if (code === 'client_closed') return 'disconnected';
  return code === 'inconclusive' ? 'inconclusive' : 'failed';
}

/** The log's record of a draw that brought no answer. */
export function abortedEntry(row: RequestRow, code: string, atMs: number): LogEntry {
  const { requestId, epoch, drawIndex } = row;
  return { type: 'aborted', requestId, epoch, drawIndex, code, atMs };
}

/** @param results none where the request ends without an answer */
function standingsOf(choices: readonly Choice[], results: readonly AttemptResult[]): Map<string, Standing> {
  return new Map(
    choices.flatMap(({ attempt: { members, scores } }, at): [string, Standing][] => {
      const verdict = results[at]?.verdict ?? 'inconclusive';
      const seated = members.map(({ jobId, standing }): [string, Standing] => [jobId, standing]);
      return [...seated, ...scorerStandings(members, scores.map(voteOf), verdict !== 'inconclusive')];
    }),
  );
}
