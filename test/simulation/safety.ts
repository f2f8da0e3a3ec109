/** SAFETY: whatever fails and whoever lies, nothing wrong is accepted and nobody honest pays for it. */
import { readRequest } from '#protocol/asked';
import type { Statement } from '#protocol/attestation';
import { choicesOf } from '#protocol/choices';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { LOGIT_Q16_MIN, LOGIT_SCALE, MASS_Q32_ONE, margin, type TokenEvidence } from '#protocol/evidence';
import { zLogEntry } from '#protocol/log';
import type { LogCopy } from '#protocol/log-copy';
import { promptOfChoice } from '#protocol/prompt-groups';
import { verifyResponse } from '#protocol/verify';
import { witnessJudge } from '../../gateway/judge/witness-judge.ts';
import { listDisputes } from '../../gateway/store/disputes-repo.ts';
import { logRange } from '../../gateway/store/log-repo.ts';
import type { GenerateRequest } from '../../provider/engine/engine.ts';
import { STAKE_NANO, stakeOf, testLogSigner } from '../fixtures/network.ts';
import { logProblems } from './log-problems.ts';
import { moneyProblems } from './money-problems.ts';
import { outcomeOf } from './outcome.ts';
import type { Answer, Run } from './simulation.ts';
import { HONEST_JITTER, TOY_MODEL, toyCalibration, toyMachine } from './toy-machine.ts';

/** Largest margin of an honest machine's token in the reference's eyes: the class pair's tie. */
const TIE = 0.01;
const JUDGE = witnessJudge(toyCalibration);

/** Every violation, in words; an empty list is a safe run. */
export async function safetyViolations(run: Run): Promise<string[]> {
  const violations: string[] = [];
  const log = await logCopyOf(run);
  for (const [i, answer] of run.tries.entries()) {
    for (const problem of await answerProblems(run, answer, log)) violations.push(`try ${i}: ${problem}`);
  }
  violations.push(...(await stakeProblems(run)), ...(await moneyProblems(run)), ...(await logProblems(run)));
  violations.push(...run.witness.contradictions);
  const obeyed = run.sideCalls.filter(({ status }) => status < 400).length;
  if (obeyed > 0) violations.push(`${obeyed} calls of a lying gateway were obeyed`);
  return violations;
}

/** The log as a client has it that copies it at the end. */
async function logCopyOf({ store }: Run): Promise<LogCopy | null> {
  return store.read(async (handle) => {
    const signed = await handle.db.select().from(handle.tables.checkpoints);
    const newest = signed.filter(({ note }) => note !== null).sort((a, b) => b.size - a.size)[0];
    if (!newest) return null;
    const leaves = await logRange(handle, 0, newest.size);
    const entries = leaves.map(({ entryJson }) => zLogEntry.parse(JSON.parse(entryJson)));
    return { checkpoint: newest.note!, entries };
  });
}

async function answerProblems(run: Run, answer: Answer, log: LogCopy | null): Promise<string[]> {
  const outcome = outcomeOf(answer);
  if (outcome.kind !== 'answered') return [];
  const { statement } = outcome;
  const problems: string[] = [];
  run.witness.answer(outcome.compact, outcome.checkpoint);
  const choices = choicesOf(statement);
  const asked = readRequest(answer.requestText, TOY_MODEL.text, null);
  if (choices.length !== asked.choices) problems.push(`${choices.length} choices`);
  for (const [index, choice] of choices.entries()) {
    if (!answer.plan.quorum || choice.verdict === 'inconclusive') continue;
    const of = { prompts: asked.prompts.length, choices: asked.choices };
    const promptIds = asked.prompts[promptOfChoice(index, of)]!.ids!;
    const wrong = await differsFromHonest(run, { promptIds, sampling: asked.sampling }, choice);
    if (wrong !== null) problems.push(`choice ${index} ${choice.verdict} although ${wrong}`);
  }
  const { items } = verifyResponse({
    response: answer.text,
    asked,
    text: TOY_MODEL.text,
    modelDigest: TOY_MODEL.digest,
    trusted: {
      gatewayAddress: run.gatewayAddress,
      domain: LOCAL_DOMAIN,
      logKeys: testLogSigner(run.keys.signer('gateway')),
    },
    recover: run.keys.recover,
    judge: JUDGE,
    log,
  });
  for (const { name, status, detail } of items) {
    if (name === 'standing' && status === 'failed') {
      problems.push(...(await wronglyFallen(run, answer, choices, detail)));
      continue;
    }
    // Audits and trials are proven when their epoch is over, and by then the run may be.
    const isPromise = (name === 'audits' || name === 'trials') && status === 'pending';
    if (status === 'failed' || (status === 'pending' && !isPromise))
      problems.push(`attestation: ${name} ${status}: ${detail}`);
  }
  return problems;
}

/** An answer may fall where it was wrong, and by a statement that is signed for it. */
async function wronglyFallen(
  run: Run,
  { requestText }: Pick<Answer, 'requestText'>,
  choices: readonly Statement[],
  detail: string,
): Promise<string[]> {
  if (!detail.startsWith('overturned: ')) return [`attestation: standing failed: ${detail}`];
  const asked = readRequest(requestText, TOY_MODEL.text, null);
  const of = { prompts: asked.prompts.length, choices: asked.choices };
  for (const [index, choice] of choices.entries()) {
    const promptIds = asked.prompts[promptOfChoice(index, of)]!.ids!;
    if ((await differsFromHonest(run, { promptIds, sampling: asked.sampling }, choice)) !== null) return [];
  }
  return [`an honest answer has fallen: ${detail}`];
}

/** Compares with an honest machine that is none of the network's. */
async function differsFromHonest(
  run: Run,
  { promptIds, sampling }: Pick<GenerateRequest, 'promptIds' | 'sampling'>,
  { request, outputIds }: Statement,
): Promise<string | null> {
  const seed = BigInt(request.seed);
  const reference = toyMachine();
  const honest: number[] = [];
  for await (const token of reference.generate({ promptIds, sampling, seed, maxTokens: request.maxTokens })) {
    honest.push(token.id);
  }
  const same = honest.length === outputIds.length && honest.every((id, i) => outputIds[i] === id);
  if (same) return null;
  if (!run.scenario.machines.some(({ jitter }) => jitter)) return 'its tokens are not the honest ones';
  // Machines with noise may part at near-ties; no token may be further from the reference's than a tie.
  const evidence = await reference.score({ promptIds, outputIds, sampling, seed });
  const worst = Math.max(
    ...evidence.map((item, position) => {
      const options = { temperature: sampling.temperature, seed, position, borderTolerance: TIE };
      // Where the reference reached top-p by a hair, a machine with noise needed the next token too, however far down it is.
      const seen = mayHaveKeptMore(item, sampling) ? { ...item, lastKeptLogit: LOGIT_Q16_MIN } : item;
      return margin(seen, options).margin;
    }),
  );
  const slack = TIE + 2 * HONEST_JITTER + 2 / LOGIT_SCALE;
  return worst <= slack ? null : `a token is ${worst.toFixed(3)} logits off`;
}

/** Whether the claimed token is below the reference's support and noise of two machines can have grown it: weights move by exp(±noise / T). */
function mayHaveKeptMore(item: TokenEvidence, { temperature, topK, topP }: GenerateRequest['sampling']): boolean {
  if (temperature === 0 || topP === 1 || item.keptCount === topK || item.chosenLogit >= item.lastKeptLogit)
    return false;
  return item.massQ32 / MASS_Q32_ONE - topP <= Math.expm1((4 * HONEST_JITTER) / temperature);
}

/** Honest stake is whole, and no ruling is against an honest machine. */
async function stakeProblems(run: Run): Promise<string[]> {
  const problems: string[] = [];
  const disputes = await run.store.read((handle) => listDisputes(handle, { limit: 1000 }));
  for (const { plan, signer } of run.machines) {
    if (plan.cheat !== null) continue;
    const stakeNano = await stakeOf(run.store, signer.address);
    if (stakeNano !== STAKE_NANO) problems.push(`${plan.name} is honest and lost ${STAKE_NANO - stakeNano} nano`);
    for (const dispute of disputes) {
      if (dispute.provider === signer.address && dispute.ruling === 'upheld') {
        problems.push(`${plan.name} is honest and was convicted of ${dispute.fault}`);
      }
    }
  }
  return problems;
}
