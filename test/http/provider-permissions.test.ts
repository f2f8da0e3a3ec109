/** What opens a chunk and what does not (SPEC.md §5): each refused permission is an attack on the sealing. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CommitmentEvent, PermissionOrder } from '#protocol/messages';
import {
  GATEWAY,
  hashOf,
  jobOrder,
  permit,
  type RunningProvider,
  SLOT,
  signerOf,
  startProvider,
} from './provider-fixture.ts';
import { JobStream, reveal } from './provider-stream.ts';

let running: RunningProvider;
let stream: JobStream;
let first: CommitmentEvent;
beforeEach(async () => {
  running = await startProvider();
  stream = new JobStream(running.url, jobOrder({ chunkSizes: [2], maxTokens: 6 }));
  first = await stream.commitment();
});
afterEach(() => running.stop());

async function expectRefused(order: PermissionOrder, status: number, code: string): Promise<void> {
  const { body } = await reveal(running.url, first.jobId, order).expect(status);
  expect(body.error.code).toBe(code);
  expect(stream.pending.filter((event) => event.event !== 'commitment')).toEqual([]);
}

async function open(commitment: CommitmentEvent, order = permit(commitment)) {
  await reveal(running.url, commitment.jobId, order).expect(200);
  return stream.reveal();
}

describe('a chunk stays sealed', () => {
  it('when the permission is signed by somebody else', async () => {
    await expectRefused(permit(first, { signer: signerOf('somebody') }), 401, 'invalid_signature');
    expect(running.store.roots(first.jobId)).toEqual([]);
  });

  it('when another trusted gateway signs it than the one that ordered', async () => {
    await running.stop();
    const other = signerOf('other gateway');
    running = await startProvider({ gateways: [GATEWAY, other] });
    stream = new JobStream(running.url, jobOrder({ chunkSizes: [2] }));
    first = await stream.commitment();
    await expectRefused(permit(first, { signer: other }), 401, 'invalid_signature');
  });

  it('when the permission is for another round', async () => {
    await expectRefused(permit(first, { roundId: hashOf('another round') }), 400, 'invalid_permission');
  });

  it('when the permission was changed after it was signed', async () => {
    const order = permit(first);
    const permission = { ...order.permission, roundRoot: hashOf('root') };
    await expectRefused({ ...order, permission }, 401, 'invalid_signature');
  });

  it('when its commitment is not under the root', async () => {
    const another = permit({ index: 0, commitment: hashOf('another commitment') });
    await expectRefused(another, 400, 'invalid_permission');
  });

  it('when the path is a wrong one', async () => {
    const order = permit(first);
    const path = [...order.path.slice(0, 3), hashOf('sibling')];
    await expectRefused({ ...order, path }, 400, 'invalid_permission');
  });

  it('when the slot is another one than the path leads from', async () => {
    await expectRefused({ ...permit(first), slot: (SLOT + 1) % 16 }, 400, 'invalid_permission');
  });

  it('when the permission is for a chunk that is not sealed yet', async () => {
    await expectRefused(permit({ index: 1, commitment: first.commitment }), 400, 'invalid_permission');
  });

  it('when the job moves to another slot in a later round', async () => {
    await open(first);
    const second = await stream.commitment();
    await expectRefused(permit(second, { slot: (SLOT + 1) % 16 }), 400, 'invalid_permission');
    await open(second);
  });
});

describe('an opened chunk', () => {
  it('is not opened again under a second root, even one that the gateway has signed', async () => {
    await open(first);
    const second = await stream.commitment();
    const conflicting = permit(first, { other: hashOf('second committee') });
    await expectRefused(conflicting, 409, 'permission_conflict');
    expect(running.store.roots(first.jobId).map((root) => root.root)).toEqual([permit(first).permission.roundRoot]);
    await open(second);
  });

  it('is shown again, byte for byte, under the same root', async () => {
    const opened = await open(first);
    await stream.commitment();
    expect(await open(first)).toEqual(opened);
    expect(running.store.roots(first.jobId)).toHaveLength(1);
  });

  it('keeps the signature that opened it, to prove two roots with', async () => {
    await open(first);
    expect(running.store.roots(first.jobId)[0]!.signature).toBe(permit(first).signature);
    expect(permit(first, { signer: GATEWAY })).toEqual(permit(first));
  });
});
