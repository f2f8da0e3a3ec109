/** The committee behind the OpenAI surface: accept, draw, run the attempt, settle, attest (DESIGN §4). */
import { weakestVerdict } from '#protocol/choices';
import { ProtocolError } from '#protocol/errors';
import { policyText } from '#protocol/policy';
import { FINISH_KINDS } from '#protocol/typed';
import type { Verdict } from '#protocol/verdict';
import { AuditDesk, type AuditDeskDeps } from '../audit/audit-desk.ts';
import { auditDrawOf } from '../audit/auditors.ts';
import { Lull } from '../audit/lull.ts';
import { CapabilitySkips } from '../committee/capability-skips.ts';
import { Examiner } from '../examine/examiner.ts';
import type { AnswerEvent, AnswerPipeline, AnswerRequest, FinishedChoice, FinishKind } from '../openai/answer.ts';
import { Reexaminer } from '../reexamine/reexaminer.ts';
import { accept, type PipelineDeps, type Running } from './accept.ts';
import type { AttemptResult } from './attempt.ts';
import { runChoices } from './choices.ts';
import { fail, seal, sealedAnswer } from './conclude.ts';
import { countEvidence } from './count-evidence.ts';
import { admittedEntries, operatorsOf } from './eligible.ts';
import { type QuotedRequest, type QuoteFacts, quoteFacts } from './quote.ts';
import { securityOf, unprotectedBy } from './security.ts';
import { tryCopier } from './try-copier.ts';
import { tryScorer } from './try-scorer.ts';
import { hearWitnesses } from './witness.ts';

export interface PipelineParts
  extends Omit<PipelineDeps, 'skips' | 'audits' | 'reexaminer'>,
    Pick<AuditDeskDeps, 'box' | 'modelOf'> {
  /** The client for the calls of one request, where it differs: its trace goes with them. */
  readonly clientFor?: (requestId: string) => PipelineDeps['client'] | null;
}

/** The pipeline, and what it would ask for a request. */
export interface Pipeline extends AnswerPipeline {
  quote(request: QuotedRequest): Promise<QuoteFacts>;
  /** Begins the audits, re-examinations and examinations that are due, and keeps what audit rates rest on fresh; called on a timer. */
  runAudits(): Promise<void>;
}

export function createPipeline(parts: PipelineParts): Pipeline {
  const skips = new CapabilitySkips(parts);
  const now = (): PipelineDeps => ({ ...parts, skips, audits, reexaminer });
  const lull = new Lull(parts.clock);
  const audits: AuditDesk = new AuditDesk({ ...parts, lull, pipeline: now });
  const reexaminer: Reexaminer = new Reexaminer({ ...parts, pipeline: now });
  const examiner = new Examiner({ ...parts, pipeline: now });
  // Copied for each request: it ends under the signing key under which it began, whatever is rotated meanwhile.
  const depsNow = (requestId: string): PipelineDeps => {
    const client = parts.clientFor?.(requestId) ?? parts.client;
    return { ...now(), client };
  };
  return {
    answer: (request) => lull.during(answer(depsNow(request.requestId), request)),
    sealedAnswer: (requestId) => sealedAnswer(depsNow(requestId), requestId),
    quote: (request) => quoteFacts(now(), request),
    runAudits: async () => {
      await audits.runDue();
      await reexaminer.runDue();
      await examiner.runDue();
      await parts.rates.refresh();
    },
  };
}

async function* answer(deps: PipelineDeps, request: AnswerRequest): AsyncGenerator<AnswerEvent> {
  const running = await accept(deps, request);
  const { life, choices, seats, epoch } = running;
  const tokens = runChoices(
    choices.map(({ attempt }) => attempt),
    life,
  );
  const forget = endUnread(deps, running, tokens);
  // Under a key the gateway itself reads, whoever else does not.
  const isReaders = request.keyed === undefined;
  try {
    life.signal.throwIfAborted();
    running.isUnread = isReaders;
    yield {
      type: 'opened',
      policyText: policyText(request.policy),
      security: securityOf(request.policy, epoch.snapshot, seats, {
        ...running,
        operators: operatorsOf(admittedEntries(epoch.snapshot, request.model.digest, request.policy)),
        limits: deps.pipeline,
        unprotected: unprotectedBy(deps, request.policy, choices[0]!.plan),
      }),
    };
    for (;;) {
      running.isUnread = false;
      const step = await tokens.next();
      if (running.closed) throw running.closedBy;
      running.isUnread = isReaders;
      if (step.done) {
        yield finalEvent(deps, running, step.value);
        break;
      }
      yield { type: 'tokens', ...step.value };
    }
  } catch (error) {
    await fail(deps, running, error);
    throw error;
  } finally {
    forget();
    // The consumer left between events: there is no error to render, but the hold must end all the same.
    await end(deps, running, tokens, request.signal.reason ?? hasLeft());
    life.release();
  }
}

type Tokens = ReturnType<typeof runChoices>;

const hasLeft = () => new ProtocolError('client_closed', 'The client has left.');

/** Ends the attempts, waits until none of them writes to the store any more, and ends the request unless it has its answer. */
async function end(deps: PipelineDeps, running: Running, tokens: Tokens, error: unknown): Promise<void> {
  await tokens.return([]);
  for (const { attempt } of running.choices) attempt.close();
  // Also what is in no list yet: a member that was just being seated.
  running.life.abort(error);
  await fail(deps, running, error);
  for (const [choice, { plan, attempt }] of running.choices.entries()) {
    const { epoch, drawIndex, request } = running;
    const draw = auditDrawOf({ epoch, drawIndex, choice, bodyHash: request.bodyHash });
    deps.background(countEvidence(deps, { plan, attempt, choice, policy: request.policy, draw }));
  }
}

/**
 * Ends the request with its life also while nobody takes its answer: a client that reads nothing would otherwise keep what is
 * held for it as long as it likes. It counts as one that has left.
 * @returns forgets about it
 */
function endUnread(deps: PipelineDeps, running: Running, tokens: Tokens): () => void {
  const { signal } = running.life;
  const onOver = () => {
    if (!running.isUnread) return;
    // A gateway that stops is no client's fault.
    deps.background(end(deps, running, tokens, deps.stopping.aborted ? signal.reason : hasLeft()));
  };
  signal.addEventListener('abort', onOver, { once: true });
  return () => signal.removeEventListener('abort', onOver);
}

function finalEvent(deps: PipelineDeps, running: Running, results: readonly AttemptResult[]): AnswerEvent {
  const verdict = weakestVerdict(results.map((result) => result.verdict));
  const unverified = unverifiedOf(verdict, results);
  return {
    type: 'final',
    choices: results.map(finishedChoice),
    seed: running.choices[0]!.plan.seed,
    verdict,
    unverified,
    sealedLogprobs: sealedLogprobsOf(results),
    sealedScores: running.request.policy.evidence === 'full' ? sealedScoresOf(running, results) : null,
    seal: async (content, logprobs, keep) => {
      const sealed = await seal(deps, running, results, { content, logprobs, verdict, unverified }, keep).catch(
        async (error: unknown) => {
          // Nothing was settled: the client is not charged for an answer that could not be recorded.
          await fail(deps, running, error);
          throw error;
        },
      );
      for (const [choice, { plan, attempt }] of running.choices.entries()) {
        const { served, verdict } = results[choice]!;
        deps.background(
          hearWitnesses(deps, { plan, attempt, served, verdict, choice, policy: running.request.policy }),
        );
        deps.background(tryScorer(deps, running, choice, results[choice]!));
        deps.background(tryCopier(deps, running, choice, results[choice]!));
        if (running.request.policy.mode !== 'witnessed') deps.audits.open(running, choice, served);
      }
      if (running.audit !== null) deps.background(deps.audits.answered());
      return sealed;
    },
  };
}

/** Fields of the answer that the verdict does not cover. */
function unverifiedOf(verdict: Verdict, results: readonly AttemptResult[]): string[] {
  if (verdict === 'unverified') return ['choices'];
  return results.some(({ logprobs, logprobsCovered }) => logprobs !== null && !logprobsCovered)
    ? ['choices.logprobs']
    : [];
}

function sealedLogprobsOf(results: readonly AttemptResult[]) {
  const sealed = results.flatMap(({ logprobs }, index) => (logprobs === null ? [] : [{ index, ...logprobs }]));
  return sealed.length === 0 ? null : sealed;
}

/** Of members; the referee's class is in no registry, so nobody could judge its evidence again. */
function sealedScoresOf({ choices }: Running, results: readonly AttemptResult[]) {
  return choices.flatMap(({ attempt }, index) =>
    attempt.attestedScores
      .filter(({ role, tokens }) => role === 'member' && tokens.length === results[index]!.served.tokens.length)
      .map(({ scorer, reply }) => ({ index, provider: scorer.address, evidence: [...reply.evidence] })),
  );
}

function finishedChoice({ served }: AttemptResult): FinishedChoice {
  const claim = served.claim!.value;
  const finish = FINISH_KINDS[claim.finish]! as FinishKind;
  // The terminal EOS is committed and scored like any token, but it is no token of the answer.
  return { finish, outputTokens: claim.outputTokens - (finish === 'stop' ? 1 : 0) };
}
