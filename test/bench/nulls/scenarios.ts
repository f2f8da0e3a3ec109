/** The honest providers that error rates are measured on: noise as wild as the calibration allows, clients and providers as bad as they like. */
import { boundsOf, FP16_LIKE, FP32_LIKE, type NoiseLaw } from '../../unit/honest-noise.ts';
import { type ClientKind, kindOf, type MarginScenario, type Pool } from './margins.ts';
import type { Dependence, NullScenario } from './nulls.ts';
import { lawOf, positionsOf, type RangeLaw } from './pool.ts';

/** Positions of each kind in a pool. */
const POOL_SIZE = 192;
/** Distance of the two best scores, in logits: near-ties of a client that looks for them, and what nothing parts. */
const NEAR_MAX = 0.02;
const EASY_MIN = 2;

/** What calibrations allow beyond everything that was seen: that of 2,500 responses, and of 250. */
const FLOORS = { small: 0.005, large: 0.05 } as const;

function rangeLaw(law: NoiseLaw, floor: number): RangeLaw {
  return lawOf(boundsOf(law, floor).near.survival);
}

export function poolOf(law: RangeLaw): Pool {
  return {
    mixed: kindOf(
      law,
      positionsOf(law, POOL_SIZE, 'mixed', () => true),
    ),
    near: kindOf(
      law,
      positionsOf(law, POOL_SIZE, 'near', (nearest) => nearest < NEAR_MAX),
    ),
    easy: kindOf(
      law,
      positionsOf(law, POOL_SIZE, 'easy', (nearest) => nearest > EASY_MIN),
    ),
  };
}

const LAWS = {
  // P(range > x) falls like 1 / x: no mean to speak of.
  'heavy tails': rangeLaw(FP32_LIKE, FLOORS.small),
  'fp16-like': rangeLaw(FP16_LIKE, FLOORS.small),
  'few responses in the calibration': rangeLaw(FP16_LIKE, FLOORS.large),
} as const;

function scenario(
  law: keyof typeof LAWS,
  dependence: Dependence,
  client: ClientKind,
  bought = 0,
  responses = 64,
): MarginScenario {
  const buys = bought > 0 ? `, ${bought * 100}% bought` : '';
  const name = `${law}, ${dependence} ranges, client ${client}${buys}`;
  return { name, law: LAWS[law], dependence, client, bought, responses, seed: 1 };
}

/** Bets on margins: every law, every dependence, every client at least once. */
export const SCENARIOS: readonly MarginScenario[] = [
  scenario('heavy tails', 'independent', 'mixed'),
  scenario('heavy tails', 'shared', 'near_ties'),
  scenario('heavy tails', 'shared', 'adaptive'),
  scenario('fp16-like', 'half', 'near_ties'),
  scenario('fp16-like', 'shared', 'mixed', 0.8),
  scenario('few responses in the calibration', 'shared', 'near_ties'),
  scenario('few responses in the calibration', 'half', 'adaptive', 0, 128),
];

/** Bets on opened evidence; each of these responses was opened, which one in four is. */
export const OPENED_SCENARIOS: readonly NullScenario[] = (
  [
    ['heavy tails', 'independent'],
    ['heavy tails', 'shared'],
    ['fp16-like', 'half'],
    ['few responses in the calibration', 'shared'],
  ] as const
).map(([law, dependence]) => {
  const name = `opened evidence: ${law}, ${dependence} ranges`;
  return { name, law: LAWS[law], dependence, responses: 64, seed: 1 };
});

/** Rounds under another seed of one account, for the bet on copies. */
export const COPY_ROUNDS = 4_096;
