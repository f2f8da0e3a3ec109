/** Gauges of what the gateway holds, read from the database when they are scraped, all in one read. */
import { Gauge, type Registry } from 'prom-client';
import type { ChainWorker } from './chain/chain-worker.ts';
import { RESERVE } from './ledger/accounts.ts';
import { openDisputeCounts } from './store/disputes-repo.ts';
import { drawsLeft, latestEpoch } from './store/epochs-repo.ts';
import { waitingDeliveries } from './store/events-repo.ts';
import type { Handle, Store } from './store/handle.ts';
import { balanceNano } from './store/ledger-repo.ts';
import { logSize } from './store/log-repo.ts';
import { listProviders } from './store/providers-repo.ts';
import { waitingAnswers } from './store/reexamine-repo.ts';
import { PROVIDER_STATUSES } from './store/schema/words.ts';

type State = Awaited<ReturnType<typeof readState>>;

/** Registers the gauges; where the database cannot be read they stay as they were, and `assay_database_up` says so. */
export function watchState(registry: Registry, store: Store): void {
  let reading: Promise<State | null> | null = null;
  // All gauges of a scrape collect at once, and share one read.
  const state = (): Promise<State | null> => {
    reading ??= store
      .read(readState)
      .catch(() => null)
      .finally(() => {
        reading = null;
      });
    return reading;
  };
  const gauge = <L extends string>(
    about: { name: string; help: string; labelNames?: readonly L[] },
    set: (gauge: Gauge<L>, state: State) => void,
  ) => {
    new Gauge<L>({
      ...about,
      registers: [registry],
      async collect() {
        const now = await state();
        if (now !== null) set(this, now);
      },
    });
  };
  gauge({ name: 'assay_providers', help: 'Providers by status.', labelNames: ['status'] }, (to, { statuses }) => {
    for (const status of PROVIDER_STATUSES) to.set({ status }, statuses[status]);
  });
  gauge({ name: 'assay_disputes_open', help: 'Unsettled disputes by state.', labelNames: ['state'] }, (to, now) => {
    for (const [name, open] of Object.entries(now.disputes)) to.set({ state: name }, open);
  });
  gauge({ name: 'assay_reserve_tokens', help: 'Free reserve in settlement tokens.' }, (to, now) =>
    to.set(now.reserveTokens),
  );
  gauge({ name: 'assay_epoch_draws_left', help: 'Unused draw keys of the epoch.' }, (to, now) => to.set(now.drawsLeft));
  gauge(
    {
      name: 'assay_reexaminations_waiting',
      help: 'Answers of convicted operators that nobody has looked at again yet.',
    },
    (to, now) => to.set(now.answersWaiting),
  );
  gauge({ name: 'assay_webhooks_waiting', help: 'Events that webhooks have not taken yet.' }, (to, now) =>
    to.set(now.webhooksWaiting),
  );
  gauge({ name: 'assay_log_entries', help: 'Entries of the public log.' }, (to, now) => to.set(now.logEntries));
  new Gauge({
    name: 'assay_database_up',
    help: 'Whether this scrape could read the database.',
    registers: [registry],
    async collect() {
      this.set((await state()) === null ? 0 : 1);
    },
  });
}

/** Registers the gauges of a gateway on a chain; a gateway without one has none of them. */
export function watchChain(registry: Registry, chain: ChainWorker | null): void {
  if (chain === null) return;
  new Gauge({
    name: 'assay_chain_differences',
    help: 'Differences between ledger and chain; payouts are halted while there are any.',
    registers: [registry],
    collect() {
      this.set(chain.differences.length);
    },
  });
  new Gauge({
    name: 'assay_chain_demands',
    help: 'Open demands against the account by what is done about them: a state of the outbox, unanswerable or late.',
    labelNames: ['answer'],
    registers: [registry],
    async collect() {
      this.reset();
      const status = await chain.status().catch(() => null);
      for (const { answer } of status?.demands ?? []) this.inc({ answer });
    },
  });
  new Gauge({
    name: 'assay_chain_transactions',
    help: 'Transactions of the outbox by state.',
    labelNames: ['state'],
    registers: [registry],
    async collect() {
      const status = await chain.status().catch(() => null);
      for (const [state, count] of Object.entries(status?.intents ?? {})) this.set({ state }, count);
    },
  });
}

async function readState(handle: Handle) {
  const statuses = { active: 0, quarantined: 0, left: 0 };
  for (const { status } of await listProviders(handle)) statuses[status]++;
  const epoch = await latestEpoch(handle);
  return {
    statuses,
    // A gauge is a double: whole nano of a large reserve would not fit, tokens to nine digits do.
    reserveTokens: Number(await balanceNano(handle, RESERVE)) / 1e9,
    disputes: await openDisputeCounts(handle),
    answersWaiting: await waitingAnswers(handle),
    webhooksWaiting: await waitingDeliveries(handle),
    drawsLeft: epoch === null ? 0 : await drawsLeft(handle, epoch),
    logEntries: await logSize(handle),
  };
}
