/** The policy of requests that name none: the configuration's until an operator sets another, which a restart keeps. */
import type { Policy } from '#protocol/policy';
import { policyCanonicalJson, policyJsonSchema, policyOfJson } from '#protocol/policy-json';
import type { Store } from '../store/handle.ts';
import { dropSetting, putSetting, settingJson } from '../store/settings-repo.ts';

const NAME = 'policy-default';

export class PolicyDefault {
  readonly #store: Store;
  readonly #configured: Policy;
  #set: Policy | null = null;

  constructor(store: Store, configured: Policy) {
    this.#store = store;
    this.#configured = configured;
  }

  /** What holds now. */
  get current(): Policy {
    return this.#set ?? this.#configured;
  }

  /** Whether an operator has set it. */
  get isSet(): boolean {
    return this.#set !== null;
  }

  async start(): Promise<void> {
    const json = await this.#store.read((handle) => settingJson(handle, NAME));
    this.#set = json === null ? null : policyOfJson(policyJsonSchema.parse(JSON.parse(json)));
  }

  /** Holds for requests that are parsed from now on; null gives the word back to the configuration. */
  async set(policy: Policy | null, nowMs: number): Promise<void> {
    await this.#store.withTx((tx) =>
      policy === null ? dropSetting(tx, NAME) : putSetting(tx, NAME, policyCanonicalJson(policy), nowMs),
    );
    this.#set = policy;
  }
}
