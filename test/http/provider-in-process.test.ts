/** The app without a socket, as the simulation joins it to a gateway (SPEC.md §6). */
import { expect, it } from 'vitest';
import { LOCAL_DOMAIN } from '#protocol/eip712';
import { recoverNative } from '#protocol/signer-native';
import { createProvider } from '../../provider/app.ts';
import { DEFAULT_LIMITS } from '../../provider/deps.ts';
import { SILENT_LOG } from '../../provider/log.ts';
import { createMemoryStore } from '../../provider/store/memory.ts';
import {
  countingRng,
  GATEWAY,
  gatedEngine,
  jobOrder,
  ManualClock,
  MODEL_DIGEST,
  PROVIDER,
} from './provider-fixture.ts';

it('a cancelled response body stops the job and leaves no timer behind', async () => {
  const engine = gatedEngine();
  const clock = new ManualClock();
  const { app, openCount } = createProvider({
    models: new Map([[MODEL_DIGEST, { id: 'toy', engine }]]),
    manifest: { operator: 'tester', role: 'member', region: 'local' },
    signer: PROVIDER,
    recover: recoverNative,
    domain: LOCAL_DOMAIN,
    gatewayAddresses: new Set([GATEWAY.address]),
    store: createMemoryStore(),
    clock,
    rng: countingRng(),
    log: SILENT_LOG,
    limits: DEFAULT_LIMITS,
  });
  const response = await app.request('/v1/jobs', { method: 'POST', body: JSON.stringify(jobOrder()) });
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  expect(openCount()).toBe(1);
  await response.body!.cancel();
  expect([openCount(), clock.sleeping]).toEqual([0, 0]);
});
