/** Waiting for a transaction's block. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Hex, type PublicClient, type TransactionReceipt, TransactionReceiptNotFoundError } from 'viem';

/** Between two questions, at most; a block of the fastest chains. */
const POLL_MS_MAX = 500;
/** 180 s: fifteen blocks of Ethereum. */
const WAIT_MS_MAX = 180_000;

/**
 * Waits until a transaction is in a block, and asks again and again meanwhile. viem's own waiting asks once a block: where a node gives the receipt
 * later than the block's number and makes blocks on demand, as anvil does, there is no next block and no end. Nothing here replaces a transaction.
 * @throws {Error} where it is in none for 180 s, or the node does not answer
 */
export async function receiptOf(
  client: Pick<PublicClient, 'getTransactionReceipt' | 'pollingInterval'>,
  hash: Hex,
): Promise<TransactionReceipt> {
  const pollMs = Math.min(client.pollingInterval, POLL_MS_MAX);
  for (let waitedMs = 0; waitedMs < WAIT_MS_MAX; waitedMs += pollMs) {
    const receipt = await client.getTransactionReceipt({ hash }).catch((error: unknown) => {
      if (error instanceof TransactionReceiptNotFoundError) return null;
      throw error;
    });
    if (receipt !== null) return receipt;
    await delay(pollMs);
  }
  throw new Error(`transaction ${hash} is in no block after ${WAIT_MS_MAX / 1000} s`);
}
