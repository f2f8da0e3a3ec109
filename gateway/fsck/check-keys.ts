/** API keys' budgets against what their requests cost, and the gateway's signing keys against the log (SPEC.md §6.8, §11.7). */
import type { LogEntry } from '#protocol/log';
import { FIRST_KEY_ID } from '../attest/signing-keys.ts';
import type { WholeDatabase } from '../store/whole-database.ts';
import { type Damage, damage } from './damage.ts';

type Entries = readonly (LogEntry | null)[];
type SigningKey = WholeDatabase['signingKeys'][number];

export function checkKeys(rows: WholeDatabase, entries: Entries): Damage[] {
  return [...checkBudgets(rows), ...checkSigningKeys(rows, entries)];
}

/** A budget counts the quotes of running requests and the charges of ended ones. */
function checkBudgets({ keyBudgets, requests }: WholeDatabase): Damage[] {
  return keyBudgets.flatMap(({ keyId, spentNano, period, periodStartMs, periodSpentNano }) => {
    const own = requests.filter((request) => request.keyId === keyId);
    const costOf = (since: number) =>
      own
        .filter(({ createdAtMs }) => createdAtMs >= since)
        .reduce((sum, { state, quoteNano, chargedNano }) => {
          const isOpen = state === 'accepted' || state === 'running';
          return sum + (isOpen ? quoteNano : (chargedNano ?? 0n));
        }, 0n);
    const cost = costOf(0);
    if (spentNano !== cost) return [damage('budget_wrong', keyId, `counts ${spentNano}, its requests ${cost} nano`)];
    if (period === null) return [];
    // What a clock that was set back took counts in the later period, and stays there: more than its requests, never less.
    const least = costOf(periodStartMs);
    const isWithin = least <= periodSpentNano && periodSpentNano <= spentNano;
    return isWithin
      ? []
      : [damage('budget_wrong', keyId, `counts ${periodSpentNano} of this ${period}, its requests ${least} nano`)];
  });
}

/** Every key stands in the log as it was announced, every announced one is known, and one of them signs. */
function checkSigningKeys({ signingKeys }: WholeDatabase, entries: Entries): Damage[] {
  // A gateway that died in its first start has announced its first key and not yet written it down.
  const isNew = signingKeys.length === 0;
  const known = new Set(signingKeys.map(({ logIndex }) => logIndex));
  const unknown = entries.flatMap((entry, index) => {
    if (entry?.type !== 'key' || entry.use !== 'gateway' || known.has(index)) return [];
    return isNew && entry.keyId === FIRST_KEY_ID
      ? []
      : [damage('signing_key_wrong', entry.keyId, 'announced, and not kept')];
  });
  const active = signingKeys.filter(({ state }) => state === 'active').length;
  return [
    ...unknown,
    ...signingKeys.flatMap((key) => checkSigningKey(key, entries[key.logIndex] ?? null)),
    ...(isNew || active === 1 ? [] : [damage('signing_key_wrong', '', `${active} keys are active`)]),
  ];
}

function checkSigningKey(
  { keyId, address, state, logIndex, activatedAtMs }: SigningKey,
  entry: LogEntry | null,
): Damage[] {
  const isAnnounced =
    entry?.type === 'key' && entry.use === 'gateway' && entry.keyId === keyId && entry.value === address;
  if (!isAnnounced) return [damage('signing_key_wrong', keyId, `log index ${logIndex}`)];
  const hasSigned = state !== 'announced';
  return hasSigned === (activatedAtMs !== null)
    ? []
    : [damage('signing_key_wrong', keyId, `${state} since ${activatedAtMs}`)];
}
