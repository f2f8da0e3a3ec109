/** Verification policies as attestations hold them (SPEC.md, "Policy"). */
import { z } from 'zod';
import { canonicalJson } from './canonical.ts';
import { agreeOfThreshold, POLICY_MODES_SERVED, type Policy, type PolicyMode, WITNESSED_AGREE_MIN } from './policy.ts';
import { isAlone, isAuditRate } from './policy-values.ts';
import { FILTER_FIELDS, filterShape, type ProviderFilter } from './provider-filter.ts';
import { SEATS_MAX, zNano } from './schema.ts';

/** The policy as it stands in the attestation: snake_case, `threshold` only where it was given. */
export interface PolicyJson extends ProviderFilter {
  readonly mode: PolicyMode;
  readonly n: number;
  readonly agree: number;
  readonly threshold?: number;
  readonly release: 'verified' | 'eager';
  readonly on_inconclusive: 'error' | 'best_effort';
  readonly weight: 'seat' | 'stake';
  /** Decimal. */
  readonly max_cost?: string | undefined;
  readonly evidence?: 'full' | undefined;
  readonly audit_rate?: number | undefined;
}

export function policyJson(policy: Policy): PolicyJson {
  return {
    mode: policy.mode,
    n: policy.n,
    agree: policy.agree,
    ...(policy.threshold === null ? {} : { threshold: policy.threshold }),
    release: policy.release,
    on_inconclusive: policy.onInconclusive,
    weight: policy.weight,
    ...(policy.maxCostNano === null ? {} : { max_cost: policy.maxCostNano.toString() }),
    ...(policy.evidence ? { evidence: policy.evidence } : {}),
    ...(policy.auditRate === undefined ? {} : { audit_rate: policy.auditRate }),
    ...policy.filter,
  };
}

/** The RFC 8785 text of `policyJson`. */
export function policyCanonicalJson(policy: Policy): string {
  return canonicalJson(policyJson(policy));
}

/** Parses the attested form; a verifier also needs that `agree` follows from `threshold`. */
export const policyJsonSchema: z.ZodType<PolicyJson> = z
  .strictObject({
    mode: z.enum(POLICY_MODES_SERVED),
    n: z.int().min(1).max(SEATS_MAX),
    agree: z.int().min(1).max(SEATS_MAX),
    threshold: z.number().gt(0).max(1).optional(),
    release: z.enum(['verified', 'eager']),
    on_inconclusive: z.enum(['error', 'best_effort']),
    weight: z.enum(['seat', 'stake']),
    max_cost: zNano.optional(),
    evidence: z.literal('full').optional(),
    audit_rate: z.number().gt(0).max(1).refine(isAuditRate).optional(),
    ...filterShape,
  })
  .refine((policy) => policy.agree <= policy.n, 'agree must not be above n')
  .refine(({ mode, n }) => isAlone(mode) === (n === 1), 'single and audited have one seat, other modes more')
  .refine(({ mode, audit_rate }) => mode === 'audited' || audit_rate === undefined, 'only audited answers have a rate')
  .refine(({ mode, agree }) => mode !== 'witnessed' || agree >= WITNESSED_AGREE_MIN, 'nobody witnesses alone')
  .refine(({ mode, evidence }) => mode === 'witnessed' || evidence === undefined, 'only witnesses have evidence')
  .refine(
    ({ threshold, agree, n }) => threshold === undefined || agreeOfThreshold(threshold, n) === agree,
    'agree must follow from threshold',
  );

/** The policy of an attested form that `policyJsonSchema` has accepted. */
export function policyOfJson(json: PolicyJson): Policy {
  const { on_inconclusive, threshold, max_cost, mode, n, agree, release, weight, evidence, audit_rate } = json;
  return {
    mode,
    n,
    agree,
    threshold: threshold ?? null,
    release,
    onInconclusive: on_inconclusive,
    weight,
    maxCostNano: max_cost === undefined ? null : BigInt(max_cost),
    ...(evidence ? { evidence } : {}),
    ...(audit_rate === undefined ? {} : { auditRate: audit_rate }),
    filter: Object.fromEntries(FILTER_FIELDS.flatMap((field) => (json[field] ? [[field, json[field]]] : []))),
  };
}
