/**
 * Offline verification of a saved answer (SPEC.md §10.4): everything that can be recomputed is, and what cannot is said.
 * Pure, and without Node-only code, so that it also runs in a browser.
 */

import { type AssayMember, domainOf, type InlineReceipt, logKeysOf, zInlineReceipt } from './assay-member.ts';
import { parseAttestation, type Statement, type StatementWire, sealOf, zReceipt } from './attestation.ts';
import type { ProvenAudit } from './audit-proof.ts';
import { choicesOf } from './choices.ts';
import type { Domain } from './eip712.ts';
import type { Address, Hash, Hex } from './hash.ts';
import { type LogKeys, openCheckpoint } from './log.ts';
import type { LogCopy } from './log-copy.ts';
import { safeParse } from './schema.ts';
import { drawSigner } from './signed-draw.ts';
import { type Recover, recoverPortable } from './signer.ts';
import type { ProvenTrial } from './trial-proof.ts';
import { digests } from './typed.ts';
import type { Verdict } from './verdict.ts';
import { checkAgreement, checkWeakest } from './verify-agreement.ts';
import {
  type AskedRequest,
  checkAnswerText,
  checkAsked,
  checkContent,
  checkModelDigest,
  checkRequestHash,
  checkUsage,
  type VerifierText,
} from './verify-answer.ts';
import { type AuditCheck, checkAudits } from './verify-audits.ts';
import { finding, ITEM_NAMES, notChecked, ofChoices, pending, type VerifyItem } from './verify-item.ts';
import { checkAnswerEntry, checkDraw, checkEpochEntry, checkSkips } from './verify-log.ts';
import { checkLogprobs } from './verify-logprobs.ts';
import {
  checkClaims,
  checkCommitments,
  checkOnce,
  checkRounds,
  checkScores,
  checkScoresOnce,
  checkTickets,
} from './verify-record.ts';
import { parseSavedResponse, type SavedResponse } from './verify-saved.ts';
import { checkStanding } from './verify-standing.ts';
import { openScores, type ScoreJudge } from './verify-witnessed.ts';

export type { AskedRequest, VerifierText } from './verify-answer.ts';
export type { ItemName, ItemStatus, VerifyItem } from './verify-item.ts';
export type { ScoreJudge } from './verify-witnessed.ts';

/** What the caller knows from elsewhere; without it the answer's own word is taken, and reported as not checked. */
export interface TrustedKeys {
  readonly gatewayAddress?: Address | undefined;
  readonly domain?: Domain | undefined;
  readonly logKeys?: LogKeys | undefined;
}

export interface VerifyInput {
  /** Saved JSON body, `curl -i` output, or event stream. */
  readonly response: string;
  /** The client's own request, read by `readRequest`. */
  readonly asked?: AskedRequest | null | undefined;
  /** The model's tokenizer side. */
  readonly text?: VerifierText | null | undefined;
  /** `modelDigest` of the caller's copy of the model's files. */
  readonly modelDigest?: Hash | null | undefined;
  /** A receipt that was saved apart, as parsed JSON; it goes before the answer's own. */
  readonly receipt?: unknown;
  readonly trusted?: TrustedKeys | undefined;
  readonly recover?: Recover | undefined;
  /** A copy of the whole log: shows whether promised audits were done. */
  readonly log?: LogCopy | null | undefined;
  /** Judges the evidence of witnesses; without it their votes are the gateway's reading. */
  readonly judge?: ScoreJudge | undefined;
}

export interface VerifyResult {
  /** In the order of ITEM_NAMES. */
  readonly items: readonly VerifyItem[];
  /** True when no item failed; items may still be not checked or pending. */
  readonly ok: boolean;
  /** The attested verdict; null where there is no readable attestation. */
  readonly verdict: Verdict | null;
  /** Of every choice that promised one, where a copy of the log was given. */
  readonly audits: readonly ProvenAudit[];
  /** Of scorers over every choice, where a copy of the log was given. */
  readonly trials: readonly ProvenTrial[];
}

/** Checks a saved answer item by item. Never throws on what was saved. */
export function verifyResponse(input: VerifyInput): VerifyResult {
  const opened = openAnswer(input);
  const audited = 'failed' in opened ? null : auditsOf(input, opened);
  const items = 'failed' in opened ? [opened.failed] : itemsOf(input, opened);
  if (audited !== null) items.push(...audited.items);
  if (!('failed' in opened)) items.push(...standingOf(input, opened));
  const ordered = [...items].sort((a, b) => ITEM_NAMES.indexOf(a.name) - ITEM_NAMES.indexOf(b.name));
  return {
    items: ordered,
    ok: ordered.every((item) => item.status !== 'failed'),
    verdict: 'failed' in opened ? null : opened.attestation.statement.verdict,
    audits: audited?.audits ?? [],
    trials: audited?.trials ?? [],
  };
}

/** An answer with everything that the checks read. */
interface OpenedAnswer {
  readonly saved: SavedResponse;
  readonly assay: AssayMember;
  readonly proof: { readonly attestation: string; readonly receipt: InlineReceipt | null };
  readonly attestation: NonNullable<ReturnType<typeof parseAttestation>>;
}

function openAnswer(input: VerifyInput): OpenedAnswer | { failed: VerifyItem } {
  const saved = parseSavedResponse(input.response);
  const failed = (problem: string) => ({ failed: finding('response', problem, '') });
  if (saved === null) return failed('neither a completion, nor curl -i output, nor a stream');
  if (saved.assay === null) return failed('the answer has no well-formed assay member');
  const proof = proofOf(saved.assay, input.receipt);
  if (typeof proof === 'string') return failed(proof);
  const attestation = parseAttestation(proof.attestation);
  if (attestation === null) return { failed: finding('attestation-signature', 'the attestation is malformed', '') };
  return { saved, assay: saved.assay, proof, attestation };
}

function auditsOf(input: VerifyInput, { assay, proof, attestation }: OpenedAnswer): AuditCheck {
  const domain = input.trusted?.domain ?? domainOf(assay);
  const keys = input.trusted?.logKeys ?? logKeysOf(assay);
  const recover = input.recover ?? recoverPortable;
  return checkAudits(attestation, proof.receipt, input.log ?? null, { domain, keys, recover });
}

function standingOf(input: VerifyInput, { assay, proof, attestation }: OpenedAnswer): VerifyItem[] {
  const { trusted, log, recover = recoverPortable } = input;
  if (log == null) return [];
  const how = { domain: trusted?.domain ?? domainOf(assay), keys: trusted?.logKeys ?? logKeysOf(assay), recover };
  return [checkStanding(attestation, proof.receipt, log, how)];
}

function itemsOf(input: VerifyInput, { saved, assay, proof, attestation }: OpenedAnswer): VerifyItem[] {
  const { statement, wire, signature } = attestation;
  const recover = input.recover ?? recoverPortable;
  const domain = input.trusted?.domain ?? domainOf(assay);
  const choices = choicesOf(statement);
  const shown = { scores: assay.scores ?? [], snapshot: proof.receipt?.snapshot ?? null, judge: input.judge ?? null };
  const opened = choices.map((choice, index) => openScores(choice, index, shown));
  return [
    checkMember(saved, assay, statement, proof.attestation),
    gatewayKeyItem(statement, input.trusted),
    checkSignature(wire, statement, signature, domain, recover),
    checkRequestHash(statement),
    checkContent(statement, saved.content),
    checkUsage(statement, choices, saved.content),
    ...logprobsItem(input, saved, assay, statement),
    ...eachChoice(choices, checkTickets, checkOnce(choices)),
    ...eachChoice(choices, (choice) => checkClaims(choice, domain, recover)),
    ...eachChoice(choices, checkCommitments),
    ...eachChoice(choices, checkRounds),
    ...eachChoice(
      choices,
      (choice, index) => checkScores(choice, domain, recover, opened[index]!.problem),
      checkScoresOnce(choices),
    ),
    ...eachChoice(choices, (choice, index) => checkAgreement(choice, opened[index]!), checkWeakest(statement, choices)),
    ...logItems(attestation, proof.receipt, assay, input.trusted, domain, recover),
    ...eachChoice(choices, checkSkips),
    ...checkAsked(statement, input.asked ?? null),
    checkModelDigest(statement, input.modelDigest ?? null),
    ...eachChoice(choices, (choice, index) =>
      checkAnswerText(choice, index, saved.content, input.text ?? null, input.asked ?? null),
    ),
  ];
}

function logprobsItem(
  { asked, text }: VerifyInput,
  saved: SavedResponse,
  assay: AssayMember,
  statement: Statement,
): VerifyItem[] {
  const item = checkLogprobs(statement, {
    shown: saved.logprobs,
    sealed: assay.logprobs ?? [],
    asked: asked ? asked.logprobs : undefined,
    text: text ?? null,
    content: saved.content,
  });
  return item === null ? [] : [item];
}

/**
 * One item on all choices. A choice that stands alone proves nothing about the others, so what they may not share is looked at
 * as well.
 * @param together the same item for all choices side by side; where it fails, it decides
 */
function eachChoice(
  choices: readonly Statement[],
  check: (choice: Statement, index: number) => VerifyItem | null,
  together: VerifyItem | null = null,
): VerifyItem[] {
  const item = ofChoices(choices.map(check));
  if (item === null) return [];
  return [together?.status === 'failed' && item.status !== 'failed' ? together : item];
}

/** Attestation and receipt, from the file that the caller gave or from the answer; else what is wrong with them. */
function proofOf(assay: AssayMember, given: unknown): { attestation: string; receipt: InlineReceipt | null } | string {
  if (given !== undefined && given !== null) {
    const parsed = safeParse(zReceipt, given);
    if (!parsed.success) return 'the given receipt is malformed';
    const { attestation, ...rest } = parsed.data;
    if (assay.attestation !== null && assay.attestation !== attestation)
      return 'the given receipt is of another answer';
    return { attestation, receipt: zInlineReceipt.parse(rest) };
  }
  if (assay.attestation === null) return 'the answer carries no attestation; fetch its receipt';
  return { attestation: assay.attestation, receipt: assay.receipt };
}

/** What the answer shows beside the attestation is what the attestation says. */
function checkMember(saved: SavedResponse, assay: AssayMember, statement: Statement, attestation: string): VerifyItem {
  const { headers } = saved;
  const shown = headers.get('assay-attestation');
  const differs = (header: string, value: string) => headers.has(header) && headers.get(header) !== value;
  let problem: string | null = null;
  if (assay.id !== statement.requestId || differs('assay-id', statement.requestId)) problem = 'it shows another id';
  else if (assay.verdict !== statement.verdict || differs('assay-verdict', statement.verdict)) {
    problem = 'it shows another verdict';
  } else if (assay.gateway.address !== statement.gateway) problem = 'it names another gateway';
  // Above its size limit the header holds the address of the attestation instead.
  else if (shown?.startsWith('v1.') && shown !== attestation) problem = 'its header has another attestation';
  return finding('assay-member', problem, `${statement.requestId}: ${statement.verdict}`);
}

function gatewayKeyItem(statement: Statement, trusted: TrustedKeys | undefined): VerifyItem {
  if (trusted?.gatewayAddress === undefined) return notChecked('gateway-key', `not pinned: ${statement.gateway}`);
  const problem = trusted.gatewayAddress === statement.gateway ? null : 'another gateway answered';
  return finding('gateway-key', problem, statement.gateway);
}

function checkSignature(
  wire: StatementWire,
  statement: Statement,
  signature: Hex,
  domain: Domain,
  recover: Recover,
): VerifyItem {
  const signer = recover(digests.attestation(domain, sealOf(domain, wire)), signature);
  const problem = signer === statement.gateway ? null : 'the gateway did not sign this statement';
  return finding('attestation-signature', problem, `signed by ${statement.gateway}`);
}

function logItems(
  { statement, wire }: { statement: Statement; wire: StatementWire },
  receipt: InlineReceipt | null,
  assay: AssayMember,
  trusted: TrustedKeys | undefined,
  domain: Domain,
  recover: Recover,
): VerifyItem[] {
  const keys = trusted?.logKeys ?? logKeysOf(assay);
  const keyItem =
    trusted?.logKeys === undefined
      ? notChecked('log-key', `not pinned: ${keys.origin}`)
      : finding('log-key', null, keys.origin);
  const names = ['log-checkpoint', 'log-inclusion', 'epoch-inclusion', 'draw'] as const;
  if (receipt === null) {
    return [keyItem, ...names.map((name) => pending(name, 'no receipt yet; fetch it from the url of the answer'))];
  }
  const checkpoint = openCheckpoint(domain, keys, receipt.checkpoint, recover);
  const { draw } = receipt;
  const isSigned = draw === undefined || drawSigner(domain, recover, statement, draw) === statement.gateway;
  const drawItems = eachChoice(choicesOf(statement), (choice) => checkDraw(choice, receipt, isSigned));
  if (checkpoint === null) {
    const reason = 'there is no valid checkpoint to check it with';
    return [
      keyItem,
      finding('log-checkpoint', 'the checkpoint is not signed by the log', ''),
      notChecked('log-inclusion', reason),
      notChecked('epoch-inclusion', reason),
      ...drawItems,
    ];
  }
  return [
    keyItem,
    finding('log-checkpoint', null, `${keys.origin}, size ${checkpoint.size}`),
    checkAnswerEntry(wire, receipt, checkpoint),
    checkEpochEntry(statement, receipt, checkpoint),
    ...drawItems,
  ];
}
