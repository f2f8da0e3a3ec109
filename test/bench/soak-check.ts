/** What every answer of an honest network must show: each line returned is something wrong with it. */
import { readRequest } from '#protocol/asked';
import { parseAttestation } from '#protocol/attestation';
import { readModel } from '#protocol/model-folder';
import { recoverNative } from '#protocol/signer-native';
import { createTextModel } from '#protocol/text';
import { type TrustedKeys, verifyResponse } from '#protocol/verify';
import { parseSavedResponse } from '#protocol/verify-saved';
import { witnessJudge } from '../../gateway/judge/witness-judge.ts';
import { folderReader, readCalibrations } from '../../gateway/model-reader.ts';
import type { SoakRequest } from './soak-plan.ts';

export interface Answer {
  readonly status: number;
  /** JSON body or captured stream. */
  readonly text: string;
  /** The receipt, fetched apart where the answer came before its log entry was covered. */
  readonly receipt: unknown;
}

export interface Checked {
  readonly problems: readonly string[];
  readonly chargedNano: bigint;
  readonly outputTokens: number;
  /** `none` where there was no attestation. */
  readonly verdict: string;
}

export type Checker = (request: SoakRequest, answer: Answer) => Checked;

/**
 * @param modelFolder the auditor's own copy of the model's files
 * @param mixed whether engines compute differently: honest members may part at a near-tie, which is no fault
 */
export async function createChecker(modelFolder: string, trusted: TrustedKeys, mixed = false): Promise<Checker> {
  const reader = folderReader(modelFolder);
  const { textFiles, modelDigest } = await readModel(reader);
  const text = createTextModel(textFiles);
  const calibrations = await readCalibrations(reader, modelDigest);
  const judge = witnessJudge((hash) => calibrations.find((known) => known.hash === hash)?.calibration ?? null);
  return (request, answer) => {
    const nothing = { chargedNano: 0n, outputTokens: 0, verdict: 'none' };
    if (answer.status !== 200) return { ...nothing, problems: [`status ${answer.status}`] };
    const asked = readRequest(request.body, text, null);
    const { items } = verifyResponse({
      response: answer.text,
      asked,
      text,
      modelDigest,
      receipt: answer.receipt,
      trusted,
      recover: recoverNative,
      judge,
    });
    const saved = parseSavedResponse(answer.text);
    const statement = saved?.assay?.attestation ? parseAttestation(saved.assay.attestation)?.statement : null;
    const { mode, n, isFull, maxTokens, stop } = request;
    // One seat's answer is compared with nobody's; a near-tie, and what witnesses say, was read from evidence that a client does
    // not get unless it asks: all of them say so.
    const uncompared = mode === 'single' || statement?.verdict === 'equivalent' || (mode === 'witnessed' && !isFull);
    const problems = items
      .filter(({ name, status }) => status !== (uncompared && name === 'agreement' ? 'not checked' : 'proved'))
      .map(({ name, status, detail }) => `${name} ${status}: ${detail}`);
    if (!saved?.content || !statement) return { ...nothing, problems: [...problems, 'no attested content'] };
    const { verdict } = statement;
    const wanted = mode === 'single' ? 'unverified' : 'agreed';
    // Only transcripts that are compared can be equivalent: a witness accepts or does not.
    const isTie = mixed && mode === 'quorum' && verdict === 'equivalent';
    if (verdict !== wanted && !isTie) problems.push(`verdict ${verdict}`);
    const unwilling = statement.scores.filter(({ accepted }) => accepted !== true);
    if (mode === 'witnessed' && unwilling.length > 0) problems.push(`${unwilling.length} witnesses did not accept`);
    if (statement.faults.length > 0) problems.push(`faults: ${statement.faults.map(({ fault }) => fault).join(', ')}`);
    if (statement.agreement.standing !== n || statement.agreement.of !== n) problems.push('not everybody agreed');
    if (BigInt(statement.price.chargedNano) > BigInt(statement.price.quoteNano))
      problems.push('charged above the quote');
    const outputTokens = statement.outputIds.length;
    if (statement.request.promptTokens !== asked.prompts[0]?.ids?.length) problems.push('wrong prompt tokens');
    if (outputTokens > maxTokens) problems.push('more tokens than asked for');
    const [choice] = saved.content.choices;
    if (choice?.finish_reason === 'length' && outputTokens !== maxTokens) problems.push('ended early as `length`');
    if (stop.some((word) => (choice?.content ?? '').includes(word))) problems.push('a stop string is in the answer');
    return { problems, chargedNano: BigInt(statement.price.chargedNano), outputTokens, verdict };
  };
}
