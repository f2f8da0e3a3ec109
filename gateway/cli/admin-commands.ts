/** What `assay admin` can do: words and flags to one call of the admin API each. Pure. */

/** One call. */
export interface AdminCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
}

export type Flags = ReadonlyMap<string, string>;

interface Command {
  /** Words after the command's own, such as `<address>`. */
  readonly words: readonly string[];
  readonly flags: readonly string[];
  readonly required?: readonly string[];
  readonly help: string;
  readonly call: (words: readonly string[], flags: Flags, forced: boolean) => AdminCall;
}

const get =
  (path: string): Command['call'] =>
  () => ({ method: 'GET', path });
const encoded = (words: readonly string[], at = 0) => encodeURIComponent(words[at]!);
/** A flag as a member of the body; numbers stay texts where they are money. */
const member = (flags: Flags, flag: string, name: string) => (flags.has(flag) ? { [name]: flags.get(flag) } : {});
const count = (flags: Flags, flag: string, name: string) =>
  flags.has(flag) ? { [name]: flags.get(flag) === 'none' ? null : Number(flags.get(flag)) } : {};

const KEY_FLAGS = ['label', 'policy', 'requests-per-minute', 'tokens-per-minute', 'concurrent-requests'] as const;
const BUDGET_FLAGS = ['budget-nano', 'budget-period', 'period-budget-nano'] as const;

function keyBody(flags: Flags): Record<string, unknown> {
  const hasBudget = BUDGET_FLAGS.some((flag) => flags.has(flag));
  return {
    ...member(flags, 'label', 'label'),
    ...(flags.get('policy') === 'none' ? { policy: null } : member(flags, 'policy', 'policy')),
    ...count(flags, 'requests-per-minute', 'requests_per_minute'),
    ...count(flags, 'tokens-per-minute', 'tokens_per_minute'),
    ...count(flags, 'concurrent-requests', 'concurrent_requests'),
    ...(hasBudget
      ? {
          budget: {
            ...member(flags, 'budget-nano', 'total_nano'),
            ...member(flags, 'budget-period', 'period'),
            ...member(flags, 'period-budget-nano', 'period_nano'),
          },
        }
      : {}),
  };
}

const money =
  (path: string): Command['call'] =>
  ([account], flags) => ({
    method: 'POST',
    path,
    body: { account, amount_nano: flags.get('amount-nano'), reference: flags.get('reference') },
  });
const moneyFlags = ['amount-nano', 'reference'] as const;

export const ADMIN_COMMANDS: Readonly<Record<string, Command>> = {
  chain: { words: [], flags: [], help: 'what is done on the chain, and what differs', call: get('/chain') },
  'chain transactions': { words: [], flags: [], help: 'on their way, or failed', call: get('/chain/transactions') },
  'chain accept-disabled': {
    words: [],
    flags: [],
    help: 'lets payouts go on after a root was disabled',
    call: () => ({ method: 'POST', path: '/chain/accept-disabled' }),
  },
  'keys list': { words: [], flags: [], help: 'API keys', call: get('/keys') },
  'keys create': {
    words: [],
    flags: ['funds-nano', ...KEY_FLAGS, ...BUDGET_FLAGS],
    help: 'makes an API key here and sends its hash alone',
    call: (_, flags) => ({
      method: 'POST',
      path: '/keys',
      body: { ...keyBody(flags), ...member(flags, 'funds-nano', 'funds_nano') },
    }),
  },
  'keys set': {
    words: ['<key id>'],
    flags: [...KEY_FLAGS, ...BUDGET_FLAGS],
    help: 'limits, budget, policy, label; "none" takes one away',
    call: (words, flags) => ({ method: 'PATCH', path: `/keys/${encoded(words)}`, body: keyBody(flags) }),
  },
  'keys revoke': {
    words: ['<key id>'],
    flags: [],
    help: 'for good',
    call: (words) => ({ method: 'POST', path: `/keys/${encoded(words)}/revoke` }),
  },
  'webhooks show': {
    words: ['<key id>'],
    flags: [],
    help: "where a key's events are sent",
    call: (words) => ({ method: 'GET', path: `/keys/${encoded(words)}/webhook` }),
  },
  'webhooks set': {
    words: ['<key id>'],
    flags: ['to'],
    required: ['to'],
    help: 'sends its events there; the secret is shown once',
    call: (words, flags) => ({
      method: 'PUT',
      path: `/keys/${encoded(words)}/webhook`,
      body: { url: flags.get('to') },
    }),
  },
  'webhooks remove': {
    words: ['<key id>'],
    flags: [],
    help: 'sends them nowhere',
    call: (words) => ({ method: 'DELETE', path: `/keys/${encoded(words)}/webhook` }),
  },
  deposit: {
    words: ['<account>'],
    flags: moneyFlags,
    required: moneyFlags,
    help: 'reserve, key:<id>, stake:<address> or earnings:<address>; once a reference',
    call: money('/deposits'),
  },
  withdraw: {
    words: ['<account>'],
    flags: moneyFlags,
    required: moneyFlags,
    help: 'money that was paid out, likewise',
    call: money('/withdrawals'),
  },
  books: { words: [], flags: [], help: 'whether the books balance', call: get('/books') },
  'providers list': { words: [], flags: [], help: 'providers and their status', call: get('/providers') },
  'providers admit': {
    words: ['<url>'],
    flags: ['role', 'stake-nano'],
    help: 'admits the provider that answers there',
    call: ([url], flags) => ({
      method: 'POST',
      path: '/providers',
      body: { url, ...member(flags, 'role', 'role'), ...member(flags, 'stake-nano', 'stake_nano') },
    }),
  },
  'providers remove': {
    words: ['<address>'],
    flags: [],
    help: 'until it is admitted again',
    call: (words) => ({ method: 'POST', path: `/providers/${encoded(words)}/remove` }),
  },
  'providers quarantine': {
    words: ['<address>'],
    flags: ['reason', 'evidence'],
    required: ['reason'],
    help: 'no draw seats it from the log entry on; the reason is public',
    call: (words, flags) => ({
      method: 'PUT',
      path: `/providers/${encoded(words)}/quarantine`,
      body: { ...member(flags, 'reason', 'reason'), ...member(flags, 'evidence', 'evidence') },
    }),
  },
  'providers lift': {
    words: ['<address>'],
    flags: ['reason'],
    required: ['reason'],
    help: 'ends a quarantine',
    call: (words, flags) => ({
      method: 'DELETE',
      path: `/providers/${encoded(words)}/quarantine`,
      body: member(flags, 'reason', 'reason'),
    }),
  },
  'applications list': {
    words: [],
    flags: ['state'],
    help: 'providers that ask to be admitted',
    call: (_, flags) => {
      const state = flags.get('state');
      return {
        method: 'GET',
        path: `/applications${state === undefined ? '' : `?state=${encodeURIComponent(state)}`}`,
      };
    },
  },
  'applications approve': {
    words: ['<address>'],
    flags: ['stake-nano'],
    help: 'admits the applicant',
    call: (words, flags) => ({
      method: 'POST',
      path: `/applications/${encoded(words)}/approve`,
      body: member(flags, 'stake-nano', 'stake_nano'),
    }),
  },
  'applications refuse': {
    words: ['<address>'],
    flags: [],
    help: 'it may apply again',
    call: (words) => ({ method: 'POST', path: `/applications/${encoded(words)}/refuse` }),
  },
  'policy show': { words: [], flags: [], help: 'of requests that name none', call: get('/policy') },
  'policy set': {
    words: ['<policy>'],
    flags: [],
    help: 'such as "quorum; n=5"; kept over restarts',
    call: ([policy]) => ({ method: 'PUT', path: '/policy', body: { policy } }),
  },
  'policy reset': {
    words: [],
    flags: [],
    help: 'back to the configured one',
    call: () => ({ method: 'DELETE', path: '/policy' }),
  },
  'epochs list': { words: [], flags: [], help: 'the latest epochs', call: get('/epochs') },
  'epochs begin': {
    words: ['<newest epoch>'],
    flags: [],
    help: 'begins the one after it',
    call: ([after]) => ({ method: 'POST', path: '/epochs', body: { after: Number(after) } }),
  },
  'signing-keys list': {
    words: [],
    flags: [],
    help: "the gateway's keys, past and present",
    call: get('/signing-keys'),
  },
  'signing-keys announce': {
    words: [],
    flags: [],
    help: 'makes the next key, logs it, tells providers; signs nothing yet',
    call: () => ({ method: 'POST', path: '/signing-keys' }),
  },
  'signing-keys activate': {
    words: ['<key id>'],
    flags: [],
    help: 'signs what begins from now on; --force though providers do not know it',
    call: (words, _, forced) => ({
      method: 'POST',
      path: `/signing-keys/${encoded(words)}/activate`,
      body: { force: forced },
    }),
  },
  'disputes list': {
    words: [],
    flags: ['state', 'provider'],
    help: 'newest first',
    call: (_, flags) => {
      const query = new URLSearchParams([...flags].filter(([flag]) => flag === 'state' || flag === 'provider'));
      return { method: 'GET', path: `/disputes${query.size === 0 ? '' : `?${query}`}` };
    },
  },
};
