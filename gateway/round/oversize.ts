/** Refusing a request whose attestation could be longer than anybody reads, before anything is held (SPEC.md §10.1). */
import { ATTESTATION_LENGTH_MAX } from '#protocol/attestation';
import type { Snapshot } from '#protocol/draw';
import { ProtocolError } from '#protocol/errors';
import { policyJson } from '#protocol/policy-json';
import { SEATS_MAX } from '#protocol/schema';
import { attestationLengthMax, jsonBytes, type StatementShape } from '../attest/statement-size.ts';
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

/** A choice's first wave, and the one that sits in for it where all of its members are lost. */
const WAVES_WANTED = 2;

/**
 * Waves that every choice may have so that the attestation is not too long, at least one: in a very long answer nobody can take
 * the place of members that are lost after their seals.
 * @throws {ProtocolError} invalid_request, with `param` prompt where several are asked about, n where several choices are asked for, else max_tokens
 */
export function wavesMaxOf(
  deps: PipelineDeps,
  snapshot: Snapshot,
  request: Sized,
  passedOver: readonly CandidateSkip[],
): number {
  const lengthOf = (waves: number) => attestationLengthMax(shapeOf(deps, snapshot, request, passedOver, waves));
  for (let waves = WAVES_WANTED; waves > 0; waves--) if (lengthOf(waves) <= ATTESTATION_LENGTH_MAX) return waves;
  const { policy, choices, maxTokens, stream, promptCount } = request;
  const asked = `${choices > 1 ? `${choices} choices of ` : ''}${maxTokens} tokens from ${policy.n} seats`;
  const advice = stream ? 'Ask for less, or without a stream.' : 'Ask for less.';
  throw new ProtocolError(
    'invalid_request',
    `The attestation of ${asked} could have more than ${ATTESTATION_LENGTH_MAX} characters. ${advice}`,
    { param: promptCount > 1 ? 'prompt' : choices > 1 ? 'n' : 'max_tokens' },
  );
}

function shapeOf(
  { registry, limits, pipeline }: PipelineDeps,
  snapshot: Snapshot,
  request: Sized,
  passedOver: readonly CandidateSkip[],
  waves: number,
): StatementShape {
  const { model, policy, sampling, choices, maxTokens, stream, clientNonce } = request;
  const extra = extraSeats(policy, limits.extraSeatsMax);
  const referee = registry.referee(model.digest);
  return {
    seats: waves * Math.min(policy.n + extra, SEATS_MAX),
    waves,
    choices,
    maxTokens,
    chunkSizes: chunkSizesOf(policy, { stream, maxTokens }, pipeline.streamChunks),
    vocabSize: model.text.vocabSize,
    nameBytes: Math.max(longestName(snapshot), referee ? jsonBytes(referee.operator) : 0),
    skipBytes: jsonBytes(passedOver),
    asked: 2 * policy.n + extra,
    requestBytes: jsonBytes([model.id, sampling, policyJson(policy), clientNonce]),
  };
}
