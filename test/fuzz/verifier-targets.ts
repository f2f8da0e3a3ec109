/** What an auditor reads: saved answers, attestations, checkpoints, dispute bundles, and the small parsers underneath. */
import { z } from 'zod';
import { readRequest } from '#protocol/asked';
import { parseAttestation, sealOf } from '#protocol/attestation';
import { canonicalJson } from '#protocol/canonical';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { shortEvidenceSchema } from '#protocol/evidence';
import { openCheckpoint, signCheckpoint, zLogEntry } from '#protocol/log';
import { ticketToWire, zTicket } from '#protocol/messages';
import { policyOfBody, policyOfText, policyText } from '#protocol/policy';
import { safeParse } from '#protocol/schema';
import { packShortEvidence, unpackShortEvidence } from '#protocol/short-evidence';
import { verifyResponse } from '#protocol/verify';
import { zDisputeBundle } from '../../gateway/dispute/bundle.ts';
import { findingOf } from '../../gateway/dispute/finding.ts';
import { parseTilePath } from '../../gateway/http/log-tiles.ts';
import { testLogSigner } from '../fixtures/network.ts';
import { TOY_MODEL, toyCalibration } from '../simulation/toy-machine.ts';
import { sampleOf } from './mutate.ts';
import type { Recorded } from './recorded.ts';
import { cleanError, type Fate, mustEqual, refuseCanary, type Target, textOf, Violation } from './target.ts';

const GRAMMAR_CODES = ['invalid_policy', 'unsupported_parameter', 'invalid_json', 'invalid_request'] as const;

export function verifierTargets(recorded: Recorded): Target[] {
  const samples = (texts: readonly string[]) => texts.map(sampleOf);
  const saved = recorded.answers.map(({ text }) => text);
  const curl = saved.map((text) => `HTTP/1.1 200 OK\r\nassay-id: x\r\ncontent-type: application/json\r\n\r\n${text}`);
  return [
    {
      name: 'verify: saved answer',
      samples: samples([...saved, ...curl]),
      run: (input) => verify(recorded, textOf(input)),
    },
    {
      name: 'verify: attestation text',
      samples: samples(recorded.compacts),
      run: (input) => attestation(textOf(input)),
    },
    {
      name: 'verify: attestation statement',
      samples: samples(recorded.compacts.map(statementOf)),
      run: statement(recorded),
    },
    { name: 'verify: checkpoint note', weight: 6, samples: samples(recorded.notes), run: note(recorded) },
    { name: 'verify: dispute bundle', samples: samples(recorded.bundles), run: bundle(recorded) },
    {
      name: 'verify: request body',
      weight: 6,
      samples: samples(recorded.answers.map(({ requestText }) => requestText)),
      run: asked,
    },
    {
      name: 'policy text',
      weight: 6,
      samples: samples(['quorum; n=5; agree=4', 'single', 'quorum; n=3; threshold=0.67; release=eager']),
      run: policy,
    },
    {
      name: 'policy object',
      weight: 6,
      samples: samples(['{"mode":"quorum","n":5,"agree":4,"on_inconclusive":"best_effort"}', '"quorum; n=3"']),
      run: policyBody,
    },
    { name: 'ticket', weight: 6, samples: samples((recorded.orders.get('jobs') ?? []).map(ticketOf)), run: ticket },
    {
      name: 'log entry',
      weight: 6,
      samples: samples([
        '{"type":"skip","provider":"0x1111111111111111111111111111111111111111","reason":"late","evidenceHash":"0x2222222222222222222222222222222222222222222222222222222222222222","atMs":5}',
      ]),
      run: entry,
    },
    {
      name: 'packed evidence',
      weight: 6,
      samples: samples(['PICABDyAgAQ8gIAE', '<\x05\x08\x07', 'AAD_____D_____8P']),
      run: packed,
    },
    { name: 'tile path', weight: 6, samples: samples(['0/x001/067.p/12', 'entries/000', '2/000']), run: tile },
  ];
}

function verify({ run }: Recorded, response: string): Fate {
  const { items, ok, verdict } = verifyResponse({
    response,
    text: TOY_MODEL.text,
    modelDigest: TOY_MODEL.digest,
    trusted: {
      gatewayAddress: run.gatewayAddress,
      domain: LOCAL_DOMAIN,
      logKeys: testLogSigner(run.keys.signer('gateway')),
    },
    recover: run.keys.recover,
  });
  for (const { detail } of items) refuseCanary(detail, 'an item of the verifier');
  if (ok && verdict === null) throw new Violation('an answer without a readable attestation is called good');
  return ok ? 'accepted' : 'rejected';
}

function attestation(text: string): Fate {
  const opened = parseAttestation(text);
  if (opened === null) return 'rejected';
  // Canonical: there is one text of a statement, and this is it.
  mustEqual(statementOf(text), canonicalJson(opened.wire), 'a statement');
  sealOf(LOCAL_DOMAIN, opened.wire);
  return 'accepted';
}

function statementOf(compact: string): string {
  return Buffer.from(compact.split('.')[1] ?? '', 'base64url').toString('utf8');
}

/** The statement itself is changed and wrapped again: what base64 would otherwise hide from mutations. */
function statement({ compacts }: Recorded): Target['run'] {
  const signature = compacts[0]!.split('.')[2]!;
  return (input) => attestation(`v1.${Buffer.from(input).toString('base64url')}.${signature}`);
}

function note({ run }: Recorded): Target['run'] {
  const signer = testLogSigner(run.keys.signer('gateway'));
  return (input) => {
    const text = textOf(input);
    const opened = openCheckpoint(LOCAL_DOMAIN, signer, text, run.keys.recover);
    if (opened === null) return 'rejected';
    if (!text.startsWith(signCheckpoint(LOCAL_DOMAIN, signer, opened).split('\n\n')[0]!)) {
      throw new Violation('a note with another body is called signed');
    }
    return 'accepted';
  };
}

function bundle({ run }: Recorded): Target['run'] {
  return (input) => {
    const parsed = safeParse(zDisputeBundle, jsonOf(input));
    if (!parsed.success) return 'rejected';
    const { finding } = findingOf(parsed.data, {
      domain: LOCAL_DOMAIN,
      recover: run.keys.recover,
      text: TOY_MODEL.text,
      calibrationOf: toyCalibration,
    });
    refuseCanary(JSON.stringify(finding), 'a finding');
    return 'accepted';
  };
}

function asked(input: Uint8Array): Fate {
  try {
    readRequest(textOf(input), TOY_MODEL.text, null);
    return 'accepted';
  } catch (error) {
    return cleanError(error);
  }
}

function policy(input: Uint8Array): Fate {
  try {
    const read = policyOfText(textOf(input));
    mustEqual(policyOfText(policyText(read)), read, 'a policy');
    return 'accepted';
  } catch (error) {
    return cleanError(error, GRAMMAR_CODES);
  }
}

function policyBody(input: Uint8Array): Fate {
  const body = jsonOf(input);
  if (body === undefined) return 'rejected';
  try {
    const read = policyOfBody(body);
    mustEqual(policyOfText(policyText(read)), read, 'a policy');
    return 'accepted';
  } catch (error) {
    return cleanError(error, GRAMMAR_CODES);
  }
}

function ticketOf(order: string): string {
  return JSON.stringify((JSON.parse(order) as { ticket: unknown }).ticket);
}

function ticket(input: Uint8Array): Fate {
  const parsed = safeParse(zTicket, jsonOf(input));
  if (!parsed.success) return 'rejected';
  const again = zTicket.parse(ticketToWire(parsed.data));
  mustEqual(ticketToWire(again), ticketToWire(parsed.data), 'a ticket');
  return 'accepted';
}

/** The text itself, and the bytes that a text would stand for: mutations of base64url alone seldom come through. */
function packed(input: Uint8Array): Fate {
  const fates = [textOf(input), Buffer.from(input).toString('base64url')].map((text): Fate => {
    const items = unpackShortEvidence(text);
    if (items === null) return 'rejected';
    mustEqual(packShortEvidence(items), text, 'packed evidence');
    if (!safeParse(z.array(shortEvidenceSchema), items).success) throw new Violation('a number that is no uint32');
    return 'accepted';
  });
  return fates.includes('accepted') ? 'accepted' : 'rejected';
}

function entry(input: Uint8Array): Fate {
  const parsed = safeParse(zLogEntry, jsonOf(input));
  if (!parsed.success) return 'rejected';
  mustEqual(zLogEntry.parse(JSON.parse(canonicalJson(parsed.data))), zLogEntry.parse(parsed.data), 'a log entry');
  return 'accepted';
}

function tile(input: Uint8Array): Fate {
  const place = parseTilePath(textOf(input));
  if (place === null) return 'rejected';
  if (!(place.width >= 1 && place.width <= 256 && Number.isSafeInteger(place.index)))
    throw new Violation('a tile of no place');
  return 'accepted';
}

export function jsonOf(input: Uint8Array): unknown {
  try {
    return JSON.parse(textOf(input)) as unknown;
  } catch {
    return undefined;
  }
}
