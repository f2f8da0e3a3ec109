/** What the tests of the economy's worlds have in common: a network in which pay and stake are decided by each test. */
import { COLLUSION_PPM } from './economy.ts';

/** Of a world that a test completes with stake, rate, pay, answers and length. */
export const TRIED_WORLD = {
  collusionPpm: COLLUSION_PPM,
  confirmingPpm: COLLUSION_PPM,
  lagMax: 8,
  unbonding: 9,
  ownShare: 0.2,
  clients: 20,
} as const;
