/** Mutants that no test can tell from the contract, with the reason. Whoever changes the line has to look again. */
import type { Mutant } from './operators.ts';

interface Equivalent {
  readonly file: string;
  /** Where the same text stands in several functions. */
  readonly fn?: string;
  readonly before: string;
  readonly after: string;
  readonly reason: string;
}

const SAME_AT_EQUALITY = 'Where both are equal, both branches give the same amount.';
const ONLY_AN_EVENT = 'Nothing is added or changed; an event more is all.';

const EQUIVALENT: readonly Equivalent[] = [
  ...[
    ['registry/Accounts.sol', 'entry.amount < free', 'entry.amount <= free'],
    ['registry/Accounts.sol', 'bond > held.frozen', 'bond >= held.frozen'],
    ['StakeRegistry.sol', 'amount > bond', 'amount >= bond'],
    ['StakeRegistry.sol', 'amount < held.active', 'amount <= held.active'],
    ['StakeRegistry.sol', 'left < entry.amount', 'left <= entry.amount'],
    ['StakeRegistry.sol', 'refund < left', 'refund <= left'],
    ['StakeRegistry.sol', 'rewards > left', 'rewards >= left'],
    ['DrawEvidence.sol', 'entries[i].stakeNano < capNano', 'entries[i].stakeNano <= capNano'],
    ['evidence/ProviderFaults.sol', 'a < b', 'a <= b'],
  ].map(([file, before, after]) => ({ file: file!, before: before!, after: after!, reason: SAME_AT_EQUALITY })),
  { file: 'registry/RegistryState.sol', fn: '_credit', before: 'amount == 0', after: 'false', reason: ONLY_AN_EVENT },
  { file: 'settlement/Escrow.sol', before: 'channel.exitAt != 0', after: 'true', reason: ONLY_AN_EVENT },
  {
    file: 'rulings/RefereeSets.sol',
    before: 'count == 0 || count > MEMBERS_MAX',
    after: 'count > MEMBERS_MAX',
    reason:
      'A set of nobody fails the majority as well: twice any threshold is above 0 only if the threshold is above the count.',
  },
  {
    file: 'rulings/RefereeSets.sol',
    before: 'nextFrom != 0',
    after: 'true',
    reason: 'Where no sets are proposed nothing is written under the next version: erasing it changes nothing.',
  },
  {
    file: 'lib/AssayDomain.sol',
    before: '_chainId = block.chainid',
    after: '',
    reason: 'Of no chain, the separator is built anew each time: the same at more gas.',
  },
  {
    file: 'lib/LogMerkle.sol',
    before: '!whole && path.length == 0',
    after: 'path.length == 0',
    reason: 'From a whole subtree to a larger tree there is a step: without one the end refuses it too.',
  },
  {
    file: 'settlement/Earnings.sol',
    fn: '_isAbsent',
    before: 'lower < payee',
    after: 'lower <= payee',
    reason: 'A leaf of the payee itself never comes here: disproveRoot compares its amount.',
  },
  ...['left.leafIndex != right.leafIndex', 'lower != upper', 'false'].map((after) => ({
    file: 'settlement/Earnings.sol',
    before: 'left.leafIndex != right.leafIndex || lower != upper',
    after,
    reason:
      'A first leaf above the payee, or a last one below it, shows that there is none, whatever stands beside it.',
  })),
  {
    file: 'settlement/Earnings.sol',
    fn: '_isAbsent',
    before: 'payee < lower',
    after: 'payee <= lower',
    reason: 'A leaf of the payee itself never comes here: disproveRoot compares its amount.',
  },
  ...['version', 'version - 1'].map((after) => ({
    file: 'rulings/RefereeSets.sol',
    fn: 'proposeSets',
    before: 'version + 1',
    after,
    reason: 'In the event alone, which no test reads; the two other places are caught.',
  })),
  {
    file: 'settlement/Earnings.sol',
    before: 'behind == 1 ? newestAt : roots[index + 1].activeAt',
    after: 'roots[index + 1].activeAt',
    reason: 'The time in the pool saves gas; the root itself has the same.',
  },
  {
    file: 'evidence/Demands.sol',
    before: 'later.place <= epoch.place',
    after: 'later.place < epoch.place',
    reason: 'At one place of one log there is one entry, and its epoch is not later than itself.',
  },
  {
    file: 'lib/AssayDomain.sol',
    before: 'block.chainid == _chainId ? _separator : _build()',
    after: '_build()',
    reason: 'The stored separator saves gas; building it gives the same.',
  },
  {
    file: 'lib/LogMerkle.sol',
    before: 'node & 1 == 0 && node != 0',
    after: 'node & 1 == 0',
    reason: 'The loop is entered with node = last, and last is not 0 there: a bit that is set ends it.',
  },
];

/** Why nothing can notice a mutant, or null where something should. */
export function reasonFor({ file, fn, before, after }: Mutant): string | null {
  const found = EQUIVALENT.find(
    (one) => file.endsWith(one.file) && (one.fn ?? fn) === fn && one.before === before && one.after === after,
  );
  return found?.reason ?? null;
}
