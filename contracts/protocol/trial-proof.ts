/**
 * Whether trials of scorers, and the prizes that they paid, follow from an opened key: offline, from the whole log and the statements that somebody
 * holds (SPEC.md §8.2). Who was not drawn is not tried, and nobody is paid for an error that was not planted. Pure.
 */
import { AuditDraw } from './audit.ts';
import { type OpenedSecret, openedSecret, type PromisedAnswer } from './audit-proof.ts';
import { choicesOf } from './choices.ts';
import { jackpotNano, mayHoldError, scoreNano } from './jackpot.ts';
import type { LogEntry } from './log.ts';
import type { OpenLog } from './log-copy.ts';
import { type Place, placeProblem, placesOf } from './logged-once.ts';
import { policyJsonSchema } from './policy-json.ts';
import { safeParse } from './schema.ts';
import { seatsOf } from './verify-record.ts';

/** `untried`: drawn, and nothing was learned: the referee found something else, the scorer was silent, or nobody was left. */
export const TRIAL_STATUSES = ['not drawn', 'untried', 'tried', 'pending', 'broken'] as const;
export type TrialStatus = (typeof TRIAL_STATUSES)[number];

/** What can be said of the trial over one choice. */
export interface ProvenTrial {
  readonly requestId: string;
  readonly choice: number;
  readonly status: TrialStatus;
  /** Outcome and prize, or what is broken or awaited; empty otherwise. */
  readonly detail: string;
  /** What was paid for a planted error. */
  readonly jackpotNano: bigint;
}

type Trial = Extract<LogEntry, { type: 'trial' }>;
type Choice = ReturnType<typeof choicesOf>[number];

/** After this long every request that began before has ended: the longest life of a request that a gateway may be set to, an hour. */
const ENDED_MS = 3_600_000;

/** By choice. */
export function proveTrials(log: OpenLog, answer: PromisedAnswer): ProvenTrial[] {
  const { statement } = answer;
  const trialPpm = trialPpmOf(log, statement.draw.epoch);
  const opened = openedSecret(log, answer, statement.audit?.withinMs ?? ENDED_MS);
  return choicesOf(statement).map((own, choice) => {
    const places = placesOf(log, 'trial', { requestId: statement.requestId, choice });
    const paidNano = places.reduce((sum, { entry }) => sum + BigInt(entry.jackpotNano ?? '0'), 0n);
    const [status, detail = ''] = statusOf(answer, { own, choice, trialPpm, opened }, places);
    return { requestId: statement.requestId, choice, status, detail, jackpotNano: paidNano };
  });
}

/** One choice, and what its draw hangs on. */
interface Tried {
  readonly own: Choice;
  readonly choice: number;
  readonly trialPpm: number;
  readonly opened: OpenedSecret;
}

function statusOf(
  answer: PromisedAnswer,
  { own, choice, trialPpm, opened }: Tried,
  places: readonly Place<'trial'>[],
): [TrialStatus, string?] {
  const { bodyHash, draw } = answer.statement;
  const [first] = places;
  if (trialPpm === 0 && first === undefined) return ['not drawn'];
  if (opened.broken !== null) return ['broken', opened.broken];
  if (opened.secret === null) return ['pending', 'the draw is opened when the epoch is over'];
  const drawn = new AuditDraw(opened.secret, { drawIndex: draw.index, choice, bodyHash });
  if (!drawn.isDue(trialPpm)) return first ? ['broken', 'a scorer was tried that was not drawn'] : ['not drawn'];
  if (first === undefined) return ['untried'];
  const { outcome, jackpotNano: paid } = first.entry;
  const problem =
    placeProblem(places, answer.wire.logIndex, 'trial') ??
    whoProblem(answer, own, first.entry) ??
    prizeProblem(own, first.entry, drawn, trialPpm);
  if (problem !== null) return ['broken', problem];
  return ['tried', paid === undefined ? outcome : `${outcome}, ${paid} nano for the planted error`];
}

function trialPpmOf(log: OpenLog, number: number): number {
  const [epoch] = log.entries.flatMap((entry) => (entry.type === 'epoch' && entry.epoch === number ? [entry] : []));
  return epoch?.auditPpm ?? 0;
}

/** One of the registry of the epoch, of an operator that has no seat and no score in the choice. */
function whoProblem({ snapshot, statement }: PromisedAnswer, own: Choice, { provider }: Trial): string | null {
  const entry = snapshot.entries.find(({ address }) => address === provider);
  if (!entry?.modelDigests.includes(statement.request.modelDigest)) return 'who was tried could not be drawn';
  const operators = [
    ...seatsOf(own).map(({ member }) => member.operator),
    ...own.scores.map(({ operator }) => operator),
  ];
  return operators.includes(entry.operator) ? 'who was tried had a part in the answer' : null;
}

function prizeProblem(own: Choice, entry: Trial, drawn: AuditDraw, trialPpm: number): string | null {
  const { outcome, jackpotNano: paid } = entry;
  if (paid === undefined) return null;
  const policy = safeParse(policyJsonSchema, own.policy);
  const [seat] = seatsOf(own);
  if (!policy.success || seat === undefined) return 'the answer has no seat';
  if (outcome !== 'right') return 'a scorer was paid for what it did not find';
  if (!mayHoldError(drawn, policy.data.mode)) return 'a scorer was paid where no error was planted';
  const tokens = { prompt: own.request.promptTokens, output: own.outputIds.length };
  const costNano = scoreNano(BigInt(seat.member.ticket.inputNanoPerMtok), tokens);
  const dueNano = jackpotNano(costNano, trialPpm, policy.data, own.audit ?? null);
  return BigInt(paid) === dueNano ? null : `the prize is ${paid}, and not ${dueNano} nano`;
}
