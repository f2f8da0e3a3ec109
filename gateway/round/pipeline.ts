/** The committee behind the OpenAI surface: accept, draw, run the attempt, settle, attest (DESIGN §4). */
import { ProtocolError } from '#protocol/errors';
import { policyText } from '#protocol/policy';
import { FINISH_KINDS, type FinishKind } from '#protocol/typed';
import { CapabilitySkips } from '../committee/capability-skips.ts';
import type { AnswerEvent, AnswerPipeline, AnswerRequest } from '../openai/answer.ts';
import { accept, type PipelineDeps, type Running } from './accept.ts';
import type { AttemptResult } from './attempt.ts';
import { fail, seal, sealedAnswer } from './conclude.ts';
import { securityOf } from './security.ts';

export function createPipeline(parts: Omit<PipelineDeps, 'skips'>): AnswerPipeline {
  const skips = new CapabilitySkips(parts);
  // Copied for each request: it ends under the signing key under which it began, whatever is rotated meanwhile.
  const depsNow = (): PipelineDeps => ({ ...parts, skips });
  return {
    answer: (request) => answer(depsNow(), request),
    sealedAnswer: (requestId) => sealedAnswer(depsNow(), requestId),
  };
}

async function* answer(deps: PipelineDeps, request: AnswerRequest): AsyncGenerator<AnswerEvent> {
  const running = await accept(deps, request);
  try {
    const seats = running.draw.order.slice(0, request.policy.n);
    yield {
      type: 'opened',
      policyText: policyText(request.policy),
      security: securityOf(request.policy, running.epoch.snapshot, seats),
    };
    const tokens = running.attempt.run();
    let step = await tokens.next();
    while (!step.done) {
      yield { type: 'tokens', ids: step.value };
      step = await tokens.next();
    }
    yield finalEvent(deps, running, step.value);
  } catch (error) {
    await fail(deps, running, error);
    throw error;
  } finally {
    running.attempt.close();
    running.life.release();
    // The consumer left between events: there is no error to render, but the hold must end all the same.
    await fail(deps, running, request.signal.reason ?? new ProtocolError('client_closed', 'The client has left.'));
  }
}

function finalEvent(deps: PipelineDeps, running: Running, result: AttemptResult): AnswerEvent {
  const { plan } = running;
  const claim = result.served.claim!.value;
  const finish = FINISH_KINDS[claim.finish]! as Exclude<FinishKind, 'cancelled'>;
  // The terminal EOS is committed and scored like any token, but it is no token of the answer.
  const outputTokens = claim.outputTokens - (finish === 'stop' ? 1 : 0);
  const unverified = result.verdict === 'unverified' ? ['choices'] : [];
  return {
    type: 'final',
    finish,
    outputTokens,
    seed: plan.seed,
    verdict: result.verdict,
    unverified,
    seal: (content, keep) => seal(deps, running, result, content, unverified, keep),
  };
}
