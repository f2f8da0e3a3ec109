/** From a finished attempt to the statement that the gateway signs (SPEC.md §10). Pure. */
import type { StatementWire } from '#protocol/attestation';
import type { AuditTerms } from '#protocol/audit';
import type { Address, Hash } from '#protocol/hash';
import { ticketToWire } from '#protocol/messages';
import type { Policy } from '#protocol/policy';
import { policyJson } from '#protocol/policy-json';
import { promptOfChoice } from '#protocol/prompt-groups';
import { outputHash } from '#protocol/request';
import type { Fault, Verdict } from '#protocol/verdict';
import type { OpenEpoch, OpenedDraw } from '../committee/epochs.ts';
import type { SealedMember } from '../round/member.ts';
import { type AttemptPlan, requestHashOf, termsOf } from '../round/plan.ts';
import type { TakenScore } from '../round/scoring.ts';
import type { Wave } from '../round/wave.ts';

/** How one choice of an answer came about. */
export interface ChoiceOutcome {
  readonly plan: AttemptPlan;
  readonly waves: readonly Wave[];
  readonly scores: readonly TakenScore[];
  readonly served: SealedMember;
  readonly verdict: Verdict;
  readonly agreement: { readonly needed: number; readonly standing: number; readonly of: number };
  readonly faults: readonly { readonly provider: Address; readonly fault: Fault; readonly disputeId: Hash | null }[];
}

/** Everything that a statement says, before the settlement fixes index and price. */
export interface AttemptRecord {
  readonly gateway: Address;
  readonly bodyHash: Hash;
  readonly clientNonce: string | null;
  readonly policy: Policy;
  readonly epoch: OpenEpoch;
  readonly drawIndex: number;
  readonly draw: OpenedDraw;
  /** What it promises of its audits; null where it promises none. */
  readonly audit: AuditTerms | null;
  /** How many prompts they answer, each equally many. */
  readonly prompts: number;
  /** By index. */
  readonly choices: readonly ChoiceOutcome[];
  /** That of the weakest choice. */
  readonly verdict: Verdict;
  readonly unverified: readonly string[];
}

type ChoiceRecordWire = NonNullable<StatementWire['choices']>[number];
type MemberWire = StatementWire['waves'][number]['members'][number];

function memberWire(wave: Wave, member: SealedMember): MemberWire {
  const opened = member.openings.slice(0, member.sealed.length);
  return {
    provider: member.seat.address,
    operator: member.seat.operator,
    slot: wave.slotOf(member),
    standing: member.standing,
    ticket: ticketToWire(member.issued.ticket),
    commitments: [...member.sealed],
    openings: opened.map(({ tokenCount, last, evidenceRoot, salt }) => ({ tokenCount, last, evidenceRoot, salt })),
    claim: member.claim ? { value: { ...member.claim.value }, signature: member.claim.signature } : null,
  };
}

function waveWire(wave: Wave): StatementWire['waves'][number] {
  return {
    roundId: wave.roundId,
    padSeed: wave.padSeed,
    roots: [...wave.roots],
    members: wave.members.map((member) => memberWire(wave, member)),
  };
}

function scoreWire(score: TakenScore): StatementWire['scores'][number] {
  const { vote } = score.judgement;
  return {
    provider: score.scorer.address,
    operator: score.scorer.operator,
    role: score.role,
    about: score.about.address,
    outputHash: outputHash(score.tokens),
    accepted: vote === 'abstain' ? null : vote === 'accept',
    score: { ...score.reply.score },
    signature: score.reply.signature,
  };
}

function choiceWire(choice: ChoiceOutcome, isOfFirstPrompt: boolean): ChoiceRecordWire {
  const { plan } = choice;
  const prompt = { promptHash: termsOf(plan).promptHash, promptTokens: plan.promptIds.length };
  return {
    ...(isOfFirstPrompt ? {} : { prompt }),
    skipped: choice.waves.flatMap((wave) => wave.skipped.map((skip) => ({ ...skip }))),
    waves: choice.waves.map(waveWire),
    scores: choice.scores.map(scoreWire),
    served: choice.served.seat.address,
    outputIds: [...choice.served.tokens],
    verdict: choice.verdict,
    agreement: { ...choice.agreement },
    faults: choice.faults.map((fault) => ({ ...fault })),
  };
}

/** The statement as it is hashed, logged and signed. */
export function buildStatement(
  record: AttemptRecord,
  fixed: {
    contentHash: Hash;
    logprobsHash: Hash | null;
    quoteNano: bigint;
    chargedNano: bigint;
    logIndex: number;
    issuedAtMs: number;
  },
): StatementWire {
  const { choices, prompts, draw, epoch } = record;
  const { plan } = choices[0]!;
  const { promptHash, samplingHash: _samplingHash, seed, ...terms } = termsOf(plan);
  const [first, ...others] = choices.map((choice, index) =>
    choiceWire(choice, promptOfChoice(index, { prompts, choices: choices.length }) === 0),
  );
  const { skipped, ...own } = first!;
  return {
    version: 1,
    requestId: plan.requestId,
    attempt: plan.attempt,
    gateway: record.gateway,
    request: {
      ...terms,
      promptHash,
      promptTokens: plan.promptIds.length,
      sampling: plan.sampling,
      seed: seed.toString(),
    },
    requestHash: requestHashOf(plan),
    bodyHash: record.bodyHash,
    clientNonce: record.clientNonce,
    policy: { ...policyJson(record.policy) },
    draw: {
      epoch: epoch.epoch,
      index: record.drawIndex,
      key: draw.key,
      path: [...draw.path],
      size: epoch.size,
      snapshotHash: epoch.snapshotHash,
      skipped,
    },
    ...(record.audit === null ? {} : { audit: { ...record.audit } }),
    ...own,
    verdict: record.verdict,
    ...(others.length > 0 ? { firstVerdict: own.verdict, choices: others } : {}),
    unverified: [...record.unverified],
    ...(plan.calibration !== null && choices.some(({ scores }) => scores.length > 0)
      ? { calibration: plan.calibration.hash }
      : {}),
    contentHash: fixed.contentHash,
    ...(fixed.logprobsHash === null ? {} : { logprobsHash: fixed.logprobsHash }),
    price: { quoteNano: fixed.quoteNano.toString(), chargedNano: fixed.chargedNano.toString() },
    logIndex: fixed.logIndex,
    issuedAtMs: fixed.issuedAtMs,
  };
}
