/** What every answer of an honest network must show: each line returned is something wrong with it. */
import { readRequest } from '#protocol/asked';
import { parseAttestation } from '#protocol/attestation';
import { readModel } from '#protocol/model-folder';
import { recoverNative } from '#protocol/signer-native';
import { createTextModel } from '#protocol/text';
import { type TrustedKeys, verifyResponse } from '#protocol/verify';
import { parseSavedResponse } from '#protocol/verify-saved';
import { folderReader } from '../../gateway/model-reader.ts';
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
  const { textFiles, modelDigest } = await readModel(folderReader(modelFolder));
  const text = createTextModel(textFiles);
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
    });
    const saved = parseSavedResponse(answer.text);
    const statement = saved?.assay?.attestation ? parseAttestation(saved.assay.attestation)?.statement : null;
    // One seat's answer is compared with nobody's, and a near-tie was read from evidence that a client does not get; both say so.
    const uncompared = request.n === 1 || statement?.verdict === 'equivalent';
    const problems = items
      .filter(({ name, status }) => status !== (uncompared && name === 'agreement' ? 'not checked' : 'proved'))
      .map(({ name, status, detail }) => `${name} ${status}: ${detail}`);
    if (!saved?.content || !statement) return { ...nothing, problems: [...problems, 'no attested content'] };
    const { n, maxTokens, stop } = request;
    const { verdict } = statement;
    const wanted = n === 1 ? ['unverified'] : mixed ? ['agreed', 'equivalent'] : ['agreed'];
    if (!wanted.includes(verdict)) problems.push(`verdict ${verdict}`);
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
