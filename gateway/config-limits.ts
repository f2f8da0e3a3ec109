/** The limits that follow from a gateway's configuration. Pure. */
import type { GatewayConfig } from './config.ts';
import type { GatewayLimits } from './gateway-deps.ts';

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
    appealMs: config.appealMs,
    epochSize: 4096,
    // One provider's weight is at most ten first stakes: a whale cannot fill every committee.
    stakeCapNano: config.stakeNano * 10n,
    scorerTrialPpm: config.scorerTrialPpm,
  };
}
