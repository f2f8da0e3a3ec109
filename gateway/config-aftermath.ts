/** Settings of what comes after an answer: how long it can be looked at again, and where its client is told. Pure. */
import { integer, oneOf, type Settings } from '#protocol/settings';

export interface AftermathConfig {
  readonly reexamineMs: number;
  readonly privateWebhooks: 'refuse' | 'allow';
}

const DAY_MS = 24 * 3600 * 1000;

export const AFTERMATH_SETTINGS: Settings<AftermathConfig> = {
  // As long as providers keep their evidence by default: a dispute about what is older could not be argued.
  reexamineMs: {
    env: 'ASSAY_GATEWAY_REEXAMINE_MS',
    help: 'how long answers without a committee are kept, encrypted, to be looked at again; 0 for not at all',
    fallback: 7 * DAY_MS,
    parse: integer(0, 90 * DAY_MS),
  },
  privateWebhooks: {
    env: 'ASSAY_GATEWAY_PRIVATE_WEBHOOKS',
    help: 'whether webhooks may be called in private networks: refuse, allow',
    fallback: 'refuse',
    parse: oneOf(['refuse', 'allow']),
  },
};
