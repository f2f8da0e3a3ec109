/** Three staked providers, each convicted by its own signatures: from an upheld dispute of the ledger to the registry. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chainDigests } from '#protocol/chain-messages';
import type { Contradiction } from '#protocol/contradiction';
import type { Domain } from '#protocol/eip712';
import { ZERO_HASH } from '#protocol/hash';
import { zClaim } from '#protocol/messages';
import type { Signer } from '#protocol/signer';
import { nativeSigner } from '#protocol/signer-native';
import { digests } from '#protocol/typed';
import { acceptRequest } from '../../gateway/store/accept-request.ts';
import { intentByKey } from '../../gateway/store/chain-outbox-repo.ts';
import { chainStakeNano } from '../../gateway/store/chain-state-repo.ts';
import { insertDispute } from '../../gateway/store/disputes-repo.ts';
import type { Store } from '../../gateway/store/handle.ts';
import { HandClock } from '../fixtures/hand-clock.ts';
import { bundleOf, HONEST, hashOf, writeOrder } from '../unit/dispute-fixture.ts';
import { fundedStore, newRequest } from '../unit/store-fixture.ts';
import { bornWorker } from './born-worker.ts';
import type { TestChain } from './test-chain.ts';

const STAKE = 500n;
const KINDS = ['two_commitments', 'two_claims', 'opening_does_not_fit'] as const;
/** More than three confirmations of three transactions after another take. */
const ROUNDS = 14;

export async function provenFaults(chain: TestChain) {
  const folder = mkdtempSync(path.join(tmpdir(), 'assay-proven-'));
  const store = await fundedStore(path.join(folder, 'assay.sqlite'));
  try {
    await stakeAll(chain);
    const worker = bornWorker(chain, store, new HandClock());
    const rounds = async () => {
      for (let round = 0; round < ROUNDS; round++) {
        await worker.tick();
        await chain.mine(12);
      }
    };
    await rounds();
    const counted = () =>
      Promise.all(chain.providers.map(({ address }) => store.read((handle) => chainStakeNano(handle, address))));
    const countedBefore = await counted();
    await accuseAll(chain, store);
    await rounds();
    const calls = await Promise.all(
      KINDS.map(async (kind) => (await store.read((handle) => intentByKey(handle, `evidence:${idOf(kind)}`)))?.state),
    );
    const convicted = await Promise.all(
      chain.providers.map(async ({ address }) => {
        const account = await chain.read<{ convictedAt: number }>('StakeRegistry', 'accountOf', [address]);
        return account.convictedAt !== 0;
      }),
    );
    return { countedBefore, countedAfter: await counted(), calls, convicted };
  } finally {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const idOf = (kind: string) => hashOf(`dispute ${kind}`);

async function stakeAll(chain: TestChain): Promise<void> {
  const { StakeRegistry } = chain.network.addresses;
  for (const provider of chain.providers) {
    const { address, key } = provider;
    const signing = chainDigests.signingKey(chain.network.domain, { account: address, key: address });
    await chain.send(provider, 'token', 'approve', [StakeRegistry, STAKE]);
    await chain.send(provider, 'StakeRegistry', 'open', [ZERO_HASH]);
    await chain.send(provider, 'StakeRegistry', 'stake', [address, STAKE]);
    await chain.send(provider, 'StakeRegistry', 'addKey', [address, address, nativeSigner(key).sign(signing)]);
    await chain.mine(12);
  }
}

async function accuseAll(chain: TestChain, store: Store): Promise<void> {
  const bundle = await bundleOf(await writeOrder(HONEST), { shows: null });
  const jobId = hashOf('job');
  for (const [at, kind] of KINDS.entries()) {
    const { address, key } = chain.providers[at]!;
    const claim = zClaim.parse(bundle.accused.claim!.value);
    const contradiction = contradictionOf(kind, chain.network.domain, nativeSigner(key), jobId, claim);
    const requestId = `request-${at}`;
    await store.withTx(async (tx) => {
      await acceptRequest(tx, newRequest(requestId, { quoteNano: 1n, coverNano: 1n }));
      await insertDispute(tx, {
        ...{ disputeId: idOf(kind), requestId, jobId, provider: address },
        fault: kind === 'opening_does_not_fit' ? 'bad_opening' : 'equivocation',
        ...{ state: 'ruled', ruling: 'upheld', frozenNano: 0n, withheldClientNano: 0n, withheldReserveNano: 0n },
        ...{ openedAtMs: at, ruledAtMs: 1, appealUntilMs: 2, settledAtMs: null, retainUntilMs: 3 },
        bundleJson: JSON.stringify({ ...bundle, contradiction }),
      });
    });
  }
}

function contradictionOf(
  kind: (typeof KINDS)[number],
  domain: Domain,
  signer: Signer,
  jobId: `0x${string}`,
  honest: ReturnType<typeof zClaim.parse>,
): Contradiction {
  const committed = (text: string) => {
    const commitment = hashOf(text);
    return { commitment, signature: signer.sign(digests.commitment(domain, { jobId, index: 0, commitment })) };
  };
  if (kind === 'two_commitments') return { kind, index: 0, first: committed('one'), second: committed('two') };
  if (kind === 'two_claims') {
    const signed = (outputTokens: number) => {
      const claim = { ...honest, jobId, provider: signer.address, outputTokens };
      return { claim, signature: signer.sign(digests.claim(domain, claim)) };
    };
    return { kind, first: signed(1), second: signed(2) };
  }
  const opening = {
    ...{ jobId, index: 0, previous: ZERO_HASH, previousRoot: ZERO_HASH, tokenCount: 1, last: true },
    ...{ tokensHash: hashOf('tokens'), evidenceRoot: hashOf('evidence'), salt: hashOf('salt') },
  };
  const reveal = { opening, signature: signer.sign(digests.reveal(domain, opening)) };
  return { kind, sealed: committed('another'), before: null, reveal };
}
