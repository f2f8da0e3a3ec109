/** Draw keys of epochs that are over, for whoever checks that the log's promise was kept (SPEC.md §8; spec-chain.md C6). */
import { z } from 'zod';
import { ProtocolError } from '#protocol/errors';
import { safeParse, zU32 } from '#protocol/schema';
import type { EpochKeeper } from '../committee/epochs.ts';
import type { GatewayApp } from './context.ts';

const zNumber = z
  .string()
  .regex(/^\d{1,10}$/)
  .transform(Number)
  .pipe(zU32);

/** Mounts `GET /v1/epochs/{epoch}/keys/{index}`. Keys of the running epoch open with their answers alone. */
export function mountEpochKeys(app: GatewayApp, epochs: EpochKeeper): void {
  app.get('/v1/epochs/:epoch/keys/:index', async (c) => {
    const epoch = safeParse(zNumber, c.req.param('epoch'));
    const index = safeParse(zNumber, c.req.param('index'));
    if (epoch.success && index.success) {
      const opened = await epochs.openedKey(epoch.data, index.data);
      if (opened !== null) return c.json({ epoch: epoch.data, index: index.data, ...opened });
    }
    throw new ProtocolError('not_found', 'There is no such key, or its epoch is not over.');
  });
}
