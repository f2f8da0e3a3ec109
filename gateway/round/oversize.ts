/** Refusing a request whose attestation could be longer than anybody reads, before anything is held (SPEC.md §10.1). */
import { ATTESTATION_LENGTH_MAX } from '#protocol/attestation';
import type { Snapshot } from '#protocol/draw';
import { ProtocolError } from '#protocol/errors';
import { policyJson } from '#protocol/policy';
import { SEATS_MAX } from '#protocol/schema';
import { attestationLengthMax, jsonBytes } from '../attest/statement-size.ts';
import type { CandidateSkip } from '../committee/capability-skips.ts';
import type { AnswerRequest } from '../openai/answer.ts';
import type { PipelineDeps } from './accept.ts';
import { chunkSizesOf } from './chunk-plan.ts';
import { extraSeats } from './extra-seats.ts';

interface Sized
  extends Pick<AnswerRequest, 'model' | 'policy' | 'sampling' | 'choices' | 'maxTokens' | 'stream' | 'clientNonce'> {
  /** How many prompts the choices are about. */
  readonly promptCount: number;
}

/** Longest operator name of a snapshot, which never changes. */
const nameBytes = new WeakMap<Snapshot, number>();

function longestName(snapshot: Snapshot): number {
  const known = nameBytes.get(snapshot);
  if (known !== undefined) return known;
  const found = Math.max(0, ...snapshot.entries.map(({ operator }) => jsonBytes(operator)));
  nameBytes.set(snapshot, found);
  return found;
}

/** @throws {ProtocolError} invalid_request, with `param` prompt where several are asked about, n where several choices are asked for, else max_tokens */
export function refuseOversized(
  { registry, limits, pipeline }: PipelineDeps,
  snapshot: Snapshot,
  request: Sized,
  passedOver: readonly CandidateSkip[],
): void {
  const { model, policy, sampling, choices, maxTokens, stream, clientNonce, promptCount } = request;
  const extra = extraSeats(policy, limits.extraSeatsMax);
  const referee = registry.referee(model.digest);
  const length = attestationLengthMax({
    seats: Math.min(policy.n + extra, SEATS_MAX),
    choices,
    maxTokens,
    chunkSizes: chunkSizesOf(policy, { stream, maxTokens }, pipeline.streamChunks),
    vocabSize: model.text.vocabSize,
    nameBytes: Math.max(longestName(snapshot), referee ? jsonBytes(referee.operator) : 0),
    skipBytes: jsonBytes(passedOver),
    asked: 2 * policy.n + extra,
    requestBytes: jsonBytes([model.id, sampling, policyJson(policy), clientNonce]),
  });
  if (length <= ATTESTATION_LENGTH_MAX) return;
  const asked = `${choices > 1 ? `${choices} choices of ` : ''}${maxTokens} tokens from ${policy.n} seats`;
  const advice = stream ? 'Ask for less, or without a stream.' : 'Ask for less.';
  throw new ProtocolError(
    'invalid_request',
    `The attestation of ${asked} could have more than ${ATTESTATION_LENGTH_MAX} characters. ${advice}`,
    { param: promptCount > 1 ? 'prompt' : choices > 1 ? 'n' : 'max_tokens' },
  );
}
