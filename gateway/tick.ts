/** What a running gateway does every second: rulings that became final, providers that were not there (DESIGN §8). */
import type { Clock } from '#protocol/env';
import type { GatewayConfig } from './config.ts';
import type { Gateway } from './gateway.ts';
import { errorFields, type Log } from './log.ts';
import { listAdmissions } from './store/admissions-repo.ts';
import type { Store } from './store/handle.ts';

/** How often rulings are settled and providers that were down are asked again. */
const TICK_MS = 1_000;

/** Those of the configuration, and those that operators have admitted since. */
export async function wantedProviders(config: GatewayConfig, store: Store): Promise<Wanted> {
  const configured: Wanted = [
    ...config.providers.map((url) => ({ url, role: 'member' as const })),
    { url: config.referee, role: 'referee' as const },
  ];
  const admitted = await store.read(listAdmissions);
  return [...configured, ...admitted.filter(({ url }) => !configured.some((known) => known.url === url))];
}

export type Wanted = readonly { readonly url: string; readonly role: 'member' | 'referee' }[];

/** Settles what has become final; admits providers that were not there at the start. */
export function tickUntilStopped(
  clock: Clock,
  gateway: Gateway,
  wanted: Wanted,
  missingAtStart: readonly string[],
  config: GatewayConfig,
  log: Log,
): AbortController {
  const stop = new AbortController();
  let missing = [...missingAtStart];
  const loop = async () => {
    for (;;) {
      await clock.sleep(TICK_MS, stop.signal);
      try {
        await gateway.tick();
        const again = wanted.filter(({ url }) => missing.includes(url));
        if (again.length > 0) missing = await gateway.admit(again, config);
      } catch (error) {
        log.error('tick_failed', errorFields(error));
      }
    }
  };
  loop().catch(() => undefined);
  return stop;
}
