/** A gateway's signature over the whole order of a draw, so that a contract can hold it to it (SPEC.md §8; spec-chain.md C1, C6). Pure. */
import { z } from 'zod';
import { chainDigests, type Draw } from './chain-messages.ts';
import { drawOrder, drawSeed, orderHash, type Snapshot } from './draw.ts';
import type { Domain } from './eip712.ts';
import { type Address, type Hash, toHex } from './hash.ts';
import { clientNonceHash } from './request.ts';
import { zHash, zSignature } from './schema.ts';
import type { Recover, Signer } from './signer.ts';

/** In receipts of gateways on a chain; everything else of the draw stands in the statement. */
export const zSignedDraw = z.strictObject({ orderHash: zHash, signature: zSignature });
export type SignedDraw = z.output<typeof zSignedDraw>;

/** The parts of a statement that a draw follows from. */
export interface DrawnStatement {
  readonly bodyHash: Hash;
  readonly clientNonce: string | null;
  readonly request: { readonly modelDigest: Hash };
  readonly draw: { readonly epoch: number; readonly index: number; readonly key: Hash; readonly snapshotHash: Hash };
}

/** The struct that is signed. */
export function drawOf({ bodyHash, clientNonce, request, draw }: DrawnStatement, order: Hash): Draw {
  const { epoch, index, key, snapshotHash } = draw;
  const nonceHash = toHex(clientNonceHash(clientNonce));
  return { epoch, index, key, bodyHash, nonceHash, modelDigest: request.modelDigest, snapshotHash, orderHash: order };
}

/** Hash of the order that the statement's key and body lead to, over all who serve the model. */
export function trueOrderHash({ bodyHash, clientNonce, request, draw }: DrawnStatement, snapshot: Snapshot): Hash {
  return orderHash(drawOrder(snapshot, request.modelDigest, drawSeed(draw.key, bodyHash, clientNonce)));
}

export function signDraw(domain: Domain, signer: Signer, statement: DrawnStatement, snapshot: Snapshot): SignedDraw {
  const order = trueOrderHash(statement, snapshot);
  return { orderHash: order, signature: signer.sign(chainDigests.draw(domain, drawOf(statement, order))) };
}

/** Who signed a draw; null where nobody did. */
export function drawSigner(
  domain: Domain,
  recover: Recover,
  statement: DrawnStatement,
  signed: SignedDraw,
): Address | null {
  return recover(chainDigests.draw(domain, drawOf(statement, signed.orderHash)), signed.signature);
}
