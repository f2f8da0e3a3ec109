/** The admin API, mounted where there is an admin key and nowhere else (DESIGN §9). */
import type { GatewayApp } from '../http/context.ts';
import { requireAdmin } from './admin-auth.ts';
import type { AdminDeps } from './admin-deps.ts';
import { mountChain } from './chain-admin-routes.ts';
import { mountEvidence } from './evidence-routes.ts';
import { mountKeys } from './keys-routes.ts';
import { mountMoney } from './money-routes.ts';
import { mountDisputes, mountEpochs, mountPolicy, mountSigningKeys } from './operation-routes.ts';
import { mountApplications, mountProviders } from './providers-routes.ts';
import { mountWebhooks } from './webhook-routes.ts';

export function mountAdmin(app: GatewayApp, adminKey: string, deps: AdminDeps): void {
  // In front of every path below, known or not: without the key nobody learns which there are.
  app.use('/admin/*', requireAdmin(adminKey, deps));
  mountKeys(app, deps);
  mountMoney(app, deps);
  mountProviders(app, deps);
  mountApplications(app, deps);
  mountPolicy(app, deps);
  mountEpochs(app, deps);
  mountSigningKeys(app, deps);
  mountDisputes(app, deps);
  mountChain(app, deps);
  mountEvidence(app, deps);
  mountWebhooks(app, deps);
}
