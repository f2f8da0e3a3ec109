/** The messages that SPEC.md opens with are real ones: parsed, signed, sealed and claimed as its chapters say. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { sha256, toHex, utf8, ZERO_HASH } from '#protocol/hash';
import { zClaimEvent, zCommitmentEvent, zJobOrder, zPermissionOrder, zRevealEvent } from '#protocol/messages';
import { generateJobHash, outputHash, promptHash, samplingHash } from '#protocol/request';
import { commitmentInRound, openingFits, rootsHash } from '#protocol/round';
import { portableSigner, recoverPortable } from '#protocol/signer';
import { digests, requestHash } from '#protocol/typed';

const text = readFileSync(new URL('../../contracts/protocol/SPEC.md', import.meta.url), 'utf8');
const blocks = [...text.matchAll(/^```json\n([\s\S]*?)\n```$/gm)].map((match) => JSON.parse(match[1]!) as unknown);
const order = zJobOrder.parse(blocks[0]);
const sealed = zCommitmentEvent.parse(blocks[1]);
const permitted = zPermissionOrder.parse(blocks[2]);
const revealed = zRevealEvent.parse(blocks[3]);
const { claim, signature } = zClaimEvent.parse(blocks[4]);

const gateway = portableSigner(sha256(utf8('example gateway'))).address;
const provider = portableSigner(sha256(utf8('example provider'))).address;
const { jobId, index, commitment } = sealed;

describe('the example of SPEC.md', () => {
  it('has five messages, signed by the two keys that it names', () => {
    expect(blocks).toHaveLength(5);
    expect(text).toContain(gateway);
    const signers = [
      recoverPortable(digests.ticket(LOCAL_DOMAIN, order.ticket), order.signature),
      recoverPortable(digests.commitment(LOCAL_DOMAIN, { jobId, index, commitment }), sealed.signature),
      recoverPortable(digests.permission(LOCAL_DOMAIN, permitted.permission), permitted.signature),
      recoverPortable(digests.reveal(LOCAL_DOMAIN, revealed.opening), revealed.signature),
      recoverPortable(digests.claim(LOCAL_DOMAIN, claim), signature),
    ];
    expect(signers).toEqual([gateway, provider, gateway, provider, provider]);
  });

  it('orders what its ticket says', () => {
    const { model, modelDigest, maxTokens, nonce, sampling, promptIds, seed } = order;
    const hashes = { promptHash: promptHash(promptIds), samplingHash: samplingHash(sampling), seed: BigInt(seed) };
    expect(requestHash({ model, modelDigest, maxTokens, nonce, ...hashes })).toBe(order.ticket.requestHash);
    expect(generateJobHash(order.chunkSizes)).toBe(order.ticket.jobHash);
    expect(order.ticket.provider).toBe(provider);
  });

  it('seals, opens and claims one transcript', () => {
    const { permission, slot, path } = permitted;
    expect(commitmentInRound(permission, slot, commitment, path)).toBe(true);
    expect(openingFits(provider, revealed.opening, { commitment, previous: ZERO_HASH, previousRoot: ZERO_HASH })).toBe(
      true,
    );
    expect(revealed.opening.tokensHash).toBe(outputHash(revealed.tokens));
    expect(claim).toMatchObject({
      jobId,
      ticketHash: toHex(digests.ticket(LOCAL_DOMAIN, order.ticket)),
      requestHash: order.ticket.requestHash,
      transcriptHash: outputHash(revealed.tokens),
      lastCommitment: commitment,
      rootsHash: rootsHash([permission.roundRoot]),
      outputTokens: revealed.tokens.length,
    });
  });
});
