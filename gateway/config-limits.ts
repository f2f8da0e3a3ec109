/** The limits that follow from a gateway's configuration. Pure. */
import type { GatewayConfig } from './config.ts';
import type { GatewayLimits } from './gateway-deps.ts';

const DAY_MS = 24 * 3600 * 1000;

export function limitsOf(config: GatewayConfig): GatewayLimits {
  return {
    roundTimeoutMs: config.roundTimeoutMs,
    connectTimeoutMs: Math.min(10_000, config.roundTimeoutMs),
    claimTimeoutMs: Math.min(10_000, config.roundTimeoutMs),
    scoreTimeoutMs: config.roundTimeoutMs,
    manifestTimeoutMs: 5_000,
    sealLeastMs: Math.min(config.sealLeastMs, config.roundTimeoutMs),
    extraSeatsMax: config.extraSeatsMax,
    requestMs: config.requestTimeoutMs,
    jobMs: config.jobTimeoutMs,
    retentionMs: config.retentionMs,
    // 8 tokens are a first sentence's start; doubling keeps the rounds of a long answer few.
    streamChunks: [8, 16, 32, 64],
    audits: {
      ratePpm: config.auditPpm,
      bounds: { floorPpm: config.auditFloorPpm, ceilingPpm: config.auditCeilingPpm },
      regeneratePpm: config.auditRegeneratePpm,
      delayMs: config.auditDelayMs,
      patienceMs: config.auditPatienceMs,
      // A day beside the longest delay: whoever could be asked has been down for long by then, and evidence is kept for longer.
      withinMs: Math.min(config.auditDelayMs + DAY_MS, config.retentionMs),
    },
    coverMaxMs: config.coverMaxMs,
    reexamineMs: config.reexamineMs,
    appealMs: config.appealMs,
    epochSize: 4096,
    // One provider's weight is at most ten first stakes: a whale cannot fill every committee.
    stakeCapNano: config.stakeNano * 10n,
    scorerTrialPpm: config.scorerTrialPpm,
  };
}
