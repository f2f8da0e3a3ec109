/** A score that surprises is repeated by another operator before it counts: a lone scorer that lies convicts nobody (spec-judge.md §7.10). */
import { expect, test } from 'vitest';
import { known, pairOf } from '#protocol/calibration';
import { LOGIT_SCALE, quantiseLogit, type TokenEvidence } from '#protocol/evidence';
import { isSurprising } from '#protocol/evidence-account';
import { replayEvidence } from '#protocol/evidence-book';
import { perturbedScore } from '#protocol/sampler';
import { FACTOR_SCALE, meanFactor } from '#protocol/wealth';
import { usableScores, zCountedEvidence } from '../../gateway/evidence/counted.ts';
import { listEvidenceAccounts, responsesOfAccount } from '../../gateway/store/evidence-repo.ts';
import { jobById, jobsOfRequest } from '../../gateway/store/jobs-repo.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import { signerOf, type ToyNetwork } from '../fixtures/toy-network.ts';
import { entriesOf, toyNetworks } from '../fixtures/toy-networks.ts';
import { TOY_MODEL, toyMachine } from '../simulation/toy-machine.ts';

const LIAR = 'p0';
const LIAR_OPERATOR = `operator-${LIAR}`;
const ASKED = { temperature: 1, max_tokens: 24, logit_bias: { 0: -100 }, verification: 'witnessed; n=2' };
/** One of four is the drawn scorer of every fourth answer: none in 150 is a chance of 2e-19. */
const REQUESTS_MAX = 150;
/** Below the tie of 0.01, so that the vote is to accept. */
const BEHIND = 0.009;

const start = toyNetworks();

/** The toy model as these machines are: they never differ, and the calibration has seen that far below the tie. */
const [{ calibration }] = TOY_MODEL.calibrations as [(typeof TOY_MODEL.calibrations)[number]];
const survival = [{ gap: 2 ** -14, upper: 1e-6 }];
const sharp = known({
  ...calibration,
  pairs: calibration.pairs.map((pair) => {
    const measured = { ...pair.near, survival };
    return { ...pair, near: measured, apart: measured };
  }),
});
const MODEL = { ...TOY_MODEL, calibrations: [sharp] };
const boundsOf = (generator: string, scorer: string) => pairOf(sharp.calibration, generator, scorer);

/** Generates honestly; in its scores every claimed token stands just behind another. */
function slandering(honest: Engine): Engine {
  return {
    ...under(honest),
    async score(request) {
      const { sampling, seed } = request;
      const scoreOf = (position: number, [id, logit]: readonly [number, number]) =>
        perturbedScore(logit / LOGIT_SCALE, sampling.temperature, seed, position, id);
      const evidence = await honest.score(request);
      return evidence.map((item, position): TokenEvidence => {
        const [best, next, ...others] = item.top;
        const lead = scoreOf(position, best!) - scoreOf(position, next!) + BEHIND;
        return { ...item, top: [[next![0], next![1] + quantiseLogit(lead)], best!, ...others] };
      });
    },
  };
}

/** Generates honestly; scores by another model. */
function scoringBy(other: Engine, honest: Engine): Engine {
  return { ...under(honest), score: (request) => other.score(request) };
}

function under(engine: Engine): Engine {
  return {
    info: engine.info,
    text: engine.text,
    generate: (request) => engine.generate(request),
    score: (request) => engine.score(request),
    close: () => engine.close(),
  };
}

/** Asks until the liar is a drawn scorer. */
async function slanderedEntry(network: ToyNetwork) {
  for (let i = 0; i < REQUESTS_MAX; i++) {
    await network.ask(`question ${i}`, ASKED);
    await network.gateway.settled();
    const scored = (await entriesOf(network)).flatMap((entry) => (entry.type === 'scored' ? [entry] : []));
    expect(replayEvidence(scored).problems).toEqual([]);
    const found = scored.find(({ scores }) => scores[0]!.operator === LIAR_OPERATOR);
    if (found) return found;
    // Nothing else surprises: one honest score is enough.
    expect(scored.every(({ scores }) => scores.length === 1)).toBe(true);
  }
  throw new Error('the liar was never drawn');
}

test.each([
  ['accepts, and has every token just behind another', slandering(toyMachine())],
  ['rejects, by another model', scoringBy(toyMachine({ salt: 'liar' }), toyMachine())],
])('a lone scorer that %s: another operator is asked and paid, and the smaller factors enter', async (_, engine) => {
  const network = await start({ members: 4, model: MODEL, engines: { [LIAR]: engine } });
  const entry = await slanderedEntry(network);
  const operators = entry.scores.map(({ operator }) => operator);
  expect(operators.length).toBeGreaterThanOrEqual(2);
  expect(new Set([...operators, entry.operator]).size).toBe(operators.length + 1);

  const counted = await network.store.read((handle) => responsesOfAccount(handle, entry));
  const { evidenceJson } = counted.find(({ row }) => row.responseId === entry.responseHash)!;
  const [lie, ...honest] = usableScores(zCountedEvidence.parse(JSON.parse(evidenceJson!)), boundsOf);
  expect(isSurprising(lie!.factors)).toBe(true);
  expect(honest.length).toBeGreaterThanOrEqual(1);
  const entered = entry.factors.map((factor) => factor / FACTOR_SCALE);
  for (const { factors } of honest) {
    expect(isSurprising(factors)).toBe(false);
    for (const [i, factor] of entered.entries()) expect(factor).toBeLessThanOrEqual(factors[i]!);
  }
  expect(meanFactor(entered)).toBeLessThanOrEqual(1.001);
  const accounts = await network.store.read(listEvidenceAccounts);
  expect(accounts.every(({ stage, wealth }) => stage === 'clear' && Number(wealth) < 1.01)).toBe(true);

  const { requestId } = (await network.store.read((handle) => jobById(handle, entry.responseHash)))!;
  const jobs = await network.store.read((handle) => jobsOfRequest(handle, requestId));
  const scorers = jobs.filter(({ role }) => role === 'scorer');
  const addresses = operators.map((operator) => signerOf(operator.slice('operator-'.length)).address);
  expect(scorers.map(({ provider }) => provider).sort()).toEqual(addresses.sort());
  expect(scorers.map(({ earnedNano }) => earnedNano > 0n)).toEqual(scorers.map(() => true));
});
