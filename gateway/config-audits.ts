/** Settings of audits and covers: what keeps a provider honest that answers alone. Pure. */
import { PPM } from '#protocol/log';
import { integer, type Settings } from '#protocol/settings';
import { AUDIT_RULES } from './audit/equilibrium.ts';
import { AFTERMATH_SETTINGS, type AftermathConfig } from './config-aftermath.ts';

export interface AuditConfig extends AftermathConfig {
  /** Null goes by each provider's stake and record. */
  readonly auditPpm: number | null;
  /** Least and most of rates that go by stake and record; the first at most the second. */
  readonly auditFloorPpm: number;
  readonly auditCeilingPpm: number;
  readonly auditRegeneratePpm: number;
  readonly auditDelayMs: number;
  readonly auditPatienceMs: number;
  readonly coverMaxMs: number;
}

const DAY_MS = 24 * 3600 * 1000;

export const AUDIT_SETTINGS: Settings<AuditConfig> = {
  auditPpm: {
    env: 'ASSAY_GATEWAY_AUDIT_PPM',
    help: 'choices in a million of audited answers that are audited, whoever answers',
    fallback: null,
    shown: 'by stake, price and record',
    parse: integer(1, PPM),
  },
  auditFloorPpm: {
    env: 'ASSAY_GATEWAY_AUDIT_FLOOR_PPM',
    help: 'least of these rates where they go by stake, price and record',
    fallback: AUDIT_RULES.floorPpm,
    parse: integer(1, PPM),
  },
  auditCeilingPpm: {
    env: 'ASSAY_GATEWAY_AUDIT_CEILING_PPM',
    help: 'most of them, and the rate of who is flagged; not below the floor',
    fallback: AUDIT_RULES.ceilingPpm,
    parse: integer(1, PPM),
  },
  // One audit in ten is a whole answer, which costs some three scores: a fifth more for audits that colluding scorers cannot pass.
  auditRegeneratePpm: {
    env: 'ASSAY_GATEWAY_AUDIT_REGENERATE_PPM',
    help: 'audits in a million that are a whole answer by another provider',
    fallback: 100_000,
    parse: integer(0, PPM),
  },
  auditDelayMs: {
    env: 'ASSAY_GATEWAY_AUDIT_DELAY_MS',
    help: 'longest time from an answer to its audit',
    fallback: 600_000,
    // With the day in which an audit may be late: as long as pay is retained (`PAY_DELAY_MS`).
    parse: integer(0, 6 * DAY_MS),
  },
  // A tenth of the longest delay: what may be served before a slash grows by as much.
  auditPatienceMs: {
    env: 'ASSAY_GATEWAY_AUDIT_PATIENCE_MS',
    help: 'longest time that a due audit waits for a moment in which no client waits; 0 for none',
    fallback: 60_000,
    parse: integer(0, 3_600_000),
  },
  // Longer than the slowest of a healthy committee is behind the fastest; a round that waits longer waits for somebody who is gone.
  coverMaxMs: {
    env: 'ASSAY_GATEWAY_COVER_MAX_MS',
    help: 'longest delay that makes a lone member look like one of many; 0 for none: faster, and unprotected',
    fallback: 2_000,
    parse: integer(0, 60_000),
  },
  ...AFTERMATH_SETTINGS,
};

/** What is wrong with values that are in range by themselves. */
export function auditProblems({ auditFloorPpm, auditCeilingPpm }: AuditConfig): readonly string[] {
  return auditFloorPpm > auditCeilingPpm
    ? [`--audit-floor-ppm (${auditFloorPpm}) must not be above --audit-ceiling-ppm (${auditCeilingPpm})`]
    : [];
}
