/** API keys as the database has them. */
import { policyJsonSchema, policyOfJson } from '#protocol/policy-json';
import type { KeyLookup } from './keys.ts';
import type { Store } from './store/handle.ts';
import { activeApiKeyByHash } from './store/keys-repo.ts';

/** Looks active keys up, each time anew: a revoked one is refused from then on. */
export function keyLookup(store: Store): KeyLookup {
  return {
    async byHash(hash) {
      const row = await store.peek((handle) => activeApiKeyByHash(handle, hash));
      if (!row) return null;
      const policy = row.policyJson === null ? null : policyOfJson(policyJsonSchema.parse(JSON.parse(row.policyJson)));
      const { keyId, requestsPerMinute, tokensPerMinute, concurrentRequests } = row;
      return { keyId, policy, rates: { requestsPerMinute, tokensPerMinute, concurrentRequests } };
    },
  };
}
