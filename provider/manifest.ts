/** The signed description of this provider (SPEC.md §6). */
import { manifestDigest } from '#protocol/manifest';
import type { Manifest, ManifestReply } from '#protocol/messages';
import { SAMPLER_VERSION } from '#protocol/sampling';
import type { ProviderDeps } from './deps.ts';

/** The manifest as of now, under the provider's signature. */
export function signedManifest(deps: ProviderDeps): ManifestReply {
  const { models, manifest: facts, signer, domain, clock, limits } = deps;
  const first = [...models.values()][0];
  if (first === undefined) throw new TypeError('a provider serves at least one model');
  const { engine, engineVersion } = first.engine.info;
  const logprobs = Math.min(...[...models.values()].map((model) => model.engine.info.logprobsMax ?? -1));
  const canSample = [...models.values()].every((model) => model.engine.info.sampler !== null);
  const manifest: Manifest = {
    protocol: '1',
    address: signer.address,
    operator: facts.operator,
    role: facts.role,
    region: facts.region,
    models: [...models].map(
      ([
        digest,
        {
          id,
          engine: { info },
        },
      ]) => {
        return { id, digest, numericClass: info.numericClass, contextMax: info.contextMax };
      },
    ),
    engine: { name: engine, version: engineVersion },
    capabilities: {
      sampler: canSample ? SAMPLER_VERSION : null,
      scores: true,
      evidence: true,
      ...(logprobs < 0 ? {} : { logprobs }),
    },
    concurrency: limits.runningMax,
    issuedAtMs: clock.nowMs(),
  };
  return { manifest, signature: signer.sign(manifestDigest(domain, manifest)) };
}
