/** Verification policy: what a client may ask for, its defaults, and its text form (SPEC.md, "Policy"). */
import { type BareItem, parseItem, serializeItem, Token } from 'structured-headers';
import {
  invalid,
  isAlone,
  parseAuditRate,
  parseMaxCost,
  parseThreshold,
  unsupported,
  wholeNumber,
} from './policy-values.ts';
import { FILTER_FIELDS, listText, type ProviderFilter, parseFilter } from './provider-filter.ts';
import { SEATS_MAX } from './schema.ts';

/** Every mode of the design; those that are not served are refused by name. */
export const POLICY_MODES = ['single', 'audited', 'witnessed', 'quorum', 'optimistic', 'proved'] as const;
export type PolicyMode = 'single' | 'audited' | 'witnessed' | 'quorum';
export const POLICY_MODES_SERVED: readonly PolicyMode[] = ['single', 'audited', 'witnessed', 'quorum'];

/** Seats of a committee whose `n` is not given: the smallest in which one liar is outvoted. */
export const QUORUM_DEFAULT_N = 3;
/** Of a witnessed answer: who generates it agrees with itself, so one more seat is the least that says anything. */
export const WITNESSED_AGREE_MIN = 2;
/** Longest policy text, header or body: 96 characters of plain fields, 32 of max_cost, 6 lists with their names, rounded up. */
export const POLICY_TEXT_LENGTH_MAX = 2048;
/** Thresholds count in millionths, so that every implementation rounds alike. */
const THRESHOLD_SCALE = 1_000_000;
/** What is taken off t·n before it is rounded up, so that 0.67 of 3 is 2 (2.01 - 0.02 < 2): 0.02 in millionths. */
const THRESHOLD_SLACK = 20_000;

export interface Policy {
  readonly mode: PolicyMode;
  /** Seats of the committee, 1 to 15. */
  readonly n: number;
  /** Seats of the final count that must stand behind the answer, 1 to n. */
  readonly agree: number;
  /** What the client gave in place of `agree`, (0, 1]; echoed. */
  readonly threshold: number | null;
  readonly release: 'verified' | 'eager';
  readonly onInconclusive: 'error' | 'best_effort';
  /** How seats count; `stake` is refused until it is served. */
  readonly weight: 'seat' | 'stake';
  /** Most that the request may cost, in nano-units; null is no limit but the account's. */
  readonly maxCostNano: bigint | null;
  /** Whom the client lets see the request; the referee is the gateway's own. */
  readonly filter: ProviderFilter;
  /** Present where the answer carries the evidence of those who witnessed it, so that their votes can be checked. */
  readonly evidence?: 'full' | undefined;
  /** Of an audited answer, present where the client asks for it: the least share of its choices that is audited, (0, 1] in thousandths. */
  readonly auditRate?: number | undefined;
}

/** Where a policy was asked for; the first of these that says anything decides as a whole. */
export interface PolicySources {
  /** The body's `verification` member; undefined and null say nothing. */
  readonly body?: unknown;
  /** The `Assay-Verification` header. */
  readonly header?: string | undefined;
  /** What `policyOfSuffix` read off the model's name. */
  readonly suffix?: Policy | null;
  /** Default of the API key. */
  readonly key?: Policy | null;
  readonly gateway: Policy;
}

/** Field name of the body member and prefix of `param` for what it holds. */
const BODY_PARAM = 'verification';
const HEADER_PARAM = 'assay-verification';
const FIELDS = [
  'mode',
  'n',
  'agree',
  'threshold',
  'release',
  'on_inconclusive',
  'weight',
  'max_cost',
  'evidence',
  'audit_rate',
  ...FILTER_FIELDS,
] as const;
type Field = (typeof FIELDS)[number];

/** ⌊2n/3⌋ + 1: more than two thirds of the seats. */
export function defaultAgree(n: number): number {
  return Math.floor((2 * n) / 3) + 1;
}

/** ⌈t·n − 0.02⌉, at least 1, in integer arithmetic over millionths. @param threshold (0, 1] */
export function agreeOfThreshold(threshold: number, n: number): number {
  const scaled = Math.round(threshold * THRESHOLD_SCALE) * n - THRESHOLD_SLACK;
  return Math.min(n, Math.max(1, Math.ceil(scaled / THRESHOLD_SCALE)));
}

/**
 * The policy of one request: body, header, model suffix, key default, gateway default.
 * @throws {ProtocolError} `invalid_policy`, or `unsupported_parameter` for what is not served
 */
export function resolvePolicy(sources: PolicySources): Policy {
  if (sources.body !== undefined && sources.body !== null) return policyOfBody(sources.body);
  if (sources.header !== undefined && sources.header.trim() !== '') {
    return policyOfText(sources.header, HEADER_PARAM);
  }
  return sources.suffix ?? sources.key ?? sources.gateway;
}

/**
 * The policy of a model suffix such as `single`, `quorum` or `quorum-5` (of `minnow-5m:quorum-5`).
 * @returns null when the text is no policy, so that the name is simply unknown
 * @throws {ProtocolError} as `resolvePolicy`
 */
export function policyOfSuffix(suffix: string): Policy | null {
  const [, mode, n] = /^([a-z]+)(?:-([0-9]{1,3}))?$/.exec(suffix) ?? [];
  if (mode === undefined || !(POLICY_MODES as readonly string[]).includes(mode)) return null;
  return policyOfFields(
    new Map<string, unknown>([['mode', mode], ...(n === undefined ? [] : [['n', Number(n)] as const])]),
    'model',
  );
}

/** Parses the `verification` member: an object, or a string in the header's grammar. @throws {ProtocolError} */
export function policyOfBody(body: unknown): Policy {
  if (typeof body === 'string') return policyOfText(body, BODY_PARAM);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalid(BODY_PARAM, 'verification must be an object or a string');
  }
  return policyOfFields(new Map(Object.entries(body)), BODY_PARAM);
}

/**
 * Parses an RFC 9651 item with parameters, such as `quorum; n=5; agree=4`.
 * @param param prefix of the `param` that errors name.
 * @throws {ProtocolError} as `resolvePolicy`
 */
export function policyOfText(text: string, param: string = HEADER_PARAM): Policy {
  if (text.length > POLICY_TEXT_LENGTH_MAX) throw invalid(param, 'the policy text is too long');
  // The parser keeps the last of repeated keys, as RFC 9651 says; a policy that contradicts itself is refused instead.
  const keys = [...text.matchAll(/;\s*([a-z*][a-z0-9_.*-]*)/g)].map((match) => match[1]);
  if (new Set(keys).size !== keys.length) throw invalid(param, 'a policy parameter is given twice');
  let item: ReturnType<typeof parseItem>;
  try {
    item = parseItem(text);
  } catch {
    throw invalid(param, 'the policy text is not a structured field item such as "quorum; n=5; agree=4" (RFC 9651)');
  }
  const fields = new Map<string, unknown>([['mode', plain(item[0])]]);
  for (const [key, value] of item[1]) {
    if (key === 'mode') throw invalid(`${param}.mode`, 'the mode stands first in the policy text');
    fields.set(key, plain(value));
  }
  return policyOfFields(fields, param);
}

/** The text form, all fields spelled out: an RFC 9651 item that `policyOfText` reads back. */
export function policyText(policy: Policy): string {
  const parameters = new Map<string, BareItem>([['n', policy.n]]);
  if (policy.threshold === null) parameters.set('agree', policy.agree);
  // An RFC 9651 decimal has three fraction digits; what does not fit is echoed as the count that it came to.
  else if (Number.isInteger(policy.threshold)) parameters.set('threshold', policy.threshold);
  else if (Number(policy.threshold.toFixed(3)) === policy.threshold) parameters.set('threshold', policy.threshold);
  else parameters.set('agree', policy.agree);
  parameters.set('release', new Token(policy.release));
  parameters.set('on_inconclusive', new Token(policy.onInconclusive));
  parameters.set('weight', new Token(policy.weight));
  if (policy.maxCostNano !== null) parameters.set('max_cost', policy.maxCostNano.toString());
  if (policy.evidence) parameters.set('evidence', new Token(policy.evidence));
  if (policy.auditRate !== undefined) parameters.set('audit_rate', policy.auditRate);
  for (const field of FILTER_FIELDS) {
    const list = policy.filter[field];
    if (list !== undefined) parameters.set(field, listText(list));
  }
  return serializeItem([new Token(policy.mode), parameters]);
}

function policyOfFields(fields: ReadonlyMap<string, unknown>, param: string): Policy {
  for (const key of fields.keys()) {
    // A misspelt field of a security policy must not be ignored.
    if (!(FIELDS as readonly string[]).includes(key)) throw invalid(param, 'verification has an unknown field');
  }
  const get = (field: Field): unknown => fields.get(field) ?? undefined;
  const choose = <T extends string>(field: Field, values: readonly T[], fallback: T): T => {
    const value = get(field) ?? fallback;
    if (!(values as readonly unknown[]).includes(value)) {
      throw invalid(`${param}.${field}`, `${field} must be one of ${values.join(', ')}`);
    }
    return value as T;
  };
  const mode = choose('mode', POLICY_MODES, 'quorum');
  if (!isServed(mode))
    throw unsupported(`${param}.mode`, `mode ${mode} is not served; use ${POLICY_MODES_SERVED.join(', ')}`);
  const weight = choose('weight', ['seat', 'stake'], 'seat');
  if (weight === 'stake') throw unsupported(`${param}.weight`, 'weight stake is not served; use seat');
  const n = wholeNumber(get('n'), isAlone(mode) ? 1 : QUORUM_DEFAULT_N, SEATS_MAX, `${param}.n`);
  if (isAlone(mode) && n !== 1) throw invalid(`${param}.n`, `mode ${mode} has one seat; n must be 1`);
  const threshold = parseThreshold(get('threshold'), `${param}.threshold`);
  if (threshold !== null && get('agree') !== undefined) {
    throw invalid(`${param}.threshold`, 'give agree or threshold, not both');
  }
  const fallback = threshold === null ? defaultAgree(n) : agreeOfThreshold(threshold, n);
  const agree = wholeNumber(get('agree'), Math.min(n, fallback), n, `${param}.agree`);
  if (mode === 'witnessed' && n > 1 && agree < WITNESSED_AGREE_MIN) {
    const field = threshold === null ? 'agree' : 'threshold';
    throw invalid(`${param}.${field}`, 'of a witnessed answer at least 2 seats must agree, one of them a witness');
  }
  const isFull = choose('evidence', ['short', 'full'], 'short') === 'full';
  if (isFull && mode !== 'witnessed') throw invalid(`${param}.evidence`, 'only witnessed answers carry evidence');
  const auditRate = parseAuditRate(get('audit_rate'), `${param}.audit_rate`);
  if (auditRate !== undefined && mode !== 'audited') {
    throw invalid(`${param}.audit_rate`, 'only audited answers have a rate of audits');
  }
  return {
    // One seat agrees with nobody: what is asked for as a committee of one is answered, and attested, as `single`.
    mode: n === 1 && mode !== 'audited' ? 'single' : mode,
    n,
    agree,
    threshold,
    release: choose('release', ['verified', 'eager'], 'verified'),
    onInconclusive: choose('on_inconclusive', ['error', 'best_effort'], 'error'),
    weight,
    maxCostNano: parseMaxCost(get('max_cost'), `${param}.max_cost`),
    ...(isFull && n > 1 ? { evidence: 'full' as const } : {}),
    ...(auditRate === undefined ? {} : { auditRate }),
    filter: parseFilter(get, param),
  };
}

function isServed(mode: string): mode is PolicyMode {
  return (POLICY_MODES_SERVED as readonly string[]).includes(mode);
}

/** Tokens and strings count alike, so that both `release=eager` and `release="eager"` work. */
function plain(value: BareItem): unknown {
  return value instanceof Token ? value.toString() : value;
}
