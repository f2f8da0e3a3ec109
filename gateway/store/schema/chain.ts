/** What the gateway does on a chain, and what it has read there (spec-chain.md C9). Base units of the token are decimal text: 128 bits. */
import type { Columns } from '../columns-sqlite.ts';
import { atLeastZero, condition, moneyRange, oneOf } from './checks.ts';
import { CASE_OUTCOMES, CASE_STATES, INTENT_STATES, ROOT_STATES } from './words.ts';

/** Tables of the chain; empty in a gateway without one. */
export function chainTables(c: Columns) {
  /** Transactions that shall happen, each once: the outbox. */
  const chainIntents = c.table(
    'chain_intents',
    {
      /** Names the effect; a second intent of the same effect is the same row. */
      intentKey: c.text('intent_key').primaryKey(),
      place: c.int('place').notNull(),
      toAddress: c.text('to_address').notNull(),
      callData: c.text('call_data').notNull(),
      state: c.text('state', { enum: INTENT_STATES }).notNull(),
      /** Given once, with the first signature; every later try has the same. */
      nonce: c.int('nonce'),
      gasLimit: c.text('gas_limit'),
      minedTxHash: c.text('mined_tx_hash'),
      minedBlock: c.int('mined_block'),
      minedBlockHash: c.text('mined_block_hash'),
      /** Why it failed; null otherwise. */
      failure: c.text('failure'),
      createdAtMs: c.int('created_at_ms').notNull(),
      endedAtMs: c.int('ended_at_ms'),
    },
    (t) => [
      c.uniqueIndex('chain_intents_place').on(t.place),
      // INVARIANT: one nonce, one effect.
      c.uniqueIndex('chain_intents_nonce').on(t.nonce),
      c.index('chain_intents_state').on(t.state),
      c.check('chain_intents_state_word', oneOf('state', INTENT_STATES)),
      c.check('chain_intents_nonced', condition("state in ('queued', 'failed') or nonce is not null")),
      c.check('chain_intents_mined', condition("state not in ('mined', 'confirmed') or mined_tx_hash is not null")),
    ],
  );

  /** Every signed transaction, stored before it is sent, so that a restart sends the same bytes. */
  const chainTries = c.table(
    'chain_tries',
    {
      intentKey: c
        .text('intent_key')
        .notNull()
        .references(() => chainIntents.intentKey),
      tryIndex: c.int('try_index').notNull(),
      txHash: c.text('tx_hash').notNull(),
      rawTx: c.text('raw_tx').notNull(),
      maxFeePerGas: c.text('max_fee_per_gas').notNull(),
      maxPriorityFeePerGas: c.text('max_priority_fee_per_gas').notNull(),
      signedAtMs: c.int('signed_at_ms').notNull(),
    },
    (t) => [
      c.primaryKey({ columns: [t.intentKey, t.tryIndex] }),
      c.uniqueIndex('chain_tries_hash').on(t.txHash),
      c.check('chain_tries_index', atLeastZero('try_index')),
    ],
  );

  /** Headers of the newest blocks that were read: what a reorganisation is found by. */
  const chainBlocks = c.table(
    'chain_blocks',
    {
      number: c.int('number').primaryKey(),
      hash: c.text('hash').notNull(),
      parentHash: c.text('parent_hash').notNull(),
      atSeconds: c.int('at_seconds').notNull(),
    },
    () => [c.check('chain_blocks_number', atLeastZero('number'))],
  );

  /** Events of the network's contracts; those above the applied block may go again. */
  const chainEvents = c.table(
    'chain_events',
    {
      blockNumber: c.int('block_number').notNull(),
      logIndex: c.int('log_index').notNull(),
      txHash: c.text('tx_hash').notNull(),
      name: c.text('name').notNull(),
      /** Arguments by name; numbers as decimal text. */
      argsJson: c.text('args_json').notNull(),
      /** What the event means for the ledger; null where it moves nothing there. */
      amountNano: c.nano('amount_nano'),
    },
    (t) => [
      c.primaryKey({ columns: [t.blockNumber, t.logIndex] }),
      c.index('chain_events_name').on(t.name),
      c.check('chain_events_money', moneyRange('coalesce(amount_nano, 0)')),
    ],
  );

  const chainStakes = c.table(
    'chain_stakes',
    {
      account: c.text('account').primaryKey(),
      activeBase: c.text('active_base').notNull(),
      queuedBase: c.text('queued_base').notNull(),
      slashedBase: c.text('slashed_base').notNull(),
      /** The part that counts in draws: active stake, none after a conviction. */
      activeNano: c.nano('active_nano').notNull(),
      convicted: c.int('convicted').notNull(),
    },
    () => [c.check('chain_stakes_money', moneyRange('active_nano'))],
  );

  const chainKeys = c.table(
    'chain_keys',
    {
      signingKey: c.text('signing_key').primaryKey(),
      account: c.text('account').notNull(),
      /** Order in which keys came: an account's stake counts for its oldest live key. */
      place: c.int('place').notNull(),
      retired: c.int('retired').notNull(),
    },
    (t) => [c.index('chain_keys_account').on(t.account)],
  );

  /** Clients' escrow at this gateway. */
  const chainChannels = c.table('chain_channels', {
    client: c.text('client').primaryKey(),
    epoch: c.int('epoch').notNull(),
    depositedBase: c.text('deposited_base').notNull(),
    redeemedBase: c.text('redeemed_base').notNull(),
    exitAtSeconds: c.int('exit_at_seconds'),
  });

  /** What the pool took in, gave out and promised, by name. */
  const chainTotals = c.table('chain_totals', {
    name: c.text('name').primaryKey(),
    amountBase: c.text('amount_base').notNull(),
  });

  const chainRoots = c.table(
    'chain_roots',
    {
      sequence: c.int('sequence').primaryKey(),
      state: c.text('state', { enum: ROOT_STATES }).notNull(),
      root: c.text('root').notNull(),
      leafCount: c.int('leaf_count').notNull(),
      totalBase: c.text('total_base').notNull(),
      logSize: c.int('log_size').notNull(),
      logRoot: c.text('log_root').notNull(),
      /** Its index in the contract, and when it is active; null until that is confirmed. */
      chainIndex: c.int('chain_index'),
      activeAtSeconds: c.int('active_at_seconds'),
      decidedAtMs: c.int('decided_at_ms').notNull(),
    },
    (t) => [c.index('chain_roots_state').on(t.state), c.check('chain_roots_state_word', oneOf('state', ROOT_STATES))],
  );

  const chainLeaves = c.table(
    'chain_leaves',
    {
      sequence: c
        .int('sequence')
        .notNull()
        .references(() => chainRoots.sequence),
      payee: c.text('payee').notNull(),
      cumulativeBase: c.text('cumulative_base').notNull(),
    },
    (t) => [c.primaryKey({ columns: [t.sequence, t.payee] })],
  );

  const chainClaims = c.table('chain_claims', {
    payee: c.text('payee').primaryKey(),
    claimedBase: c.text('claimed_base').notNull(),
  });

  /** Upheld disputes that no contract can judge by itself, before the chain's referees. */
  const chainCases = c.table(
    'chain_cases',
    {
      disputeId: c.text('dispute_id').primaryKey(),
      caseId: c.text('case_id').notNull(),
      account: c.text('account').notNull(),
      /** SHA-256 of the bundle that the referees read. */
      bundleHash: c.text('bundle_hash').notNull(),
      /** The division that is proposed to them: to whom the refund goes, how much, and who was right, as JSON. */
      client: c.text('client').notNull(),
      refundBase: c.text('refund_base').notNull(),
      rightJson: c.text('right_json').notNull(),
      state: c.text('state', { enum: CASE_STATES }).notNull(),
      outcome: c.text('outcome', { enum: CASE_OUTCOMES }),
      /** Version of the referee sets, and end of the step that it is in; null until the contract has it. */
      setVersion: c.int('set_version'),
      deadlineSeconds: c.int('deadline_seconds'),
      enteredAtMs: c.int('entered_at_ms').notNull(),
    },
    (t) => [
      c.uniqueIndex('chain_cases_case').on(t.caseId),
      c.index('chain_cases_state').on(t.state),
      c.check('chain_cases_state_word', oneOf('state', CASE_STATES)),
      c.check('chain_cases_outcome_word', condition("outcome is null or outcome in ('upheld', 'rejected')")),
    ],
  );

  /** What referees have signed; the newest of each counts. */
  const chainVoices = c.table(
    'chain_voices',
    {
      caseId: c.text('case_id').notNull(),
      /** 0 the first set, 1 the set of the appeal. */
      instance: c.int('instance').notNull(),
      referee: c.text('referee').notNull(),
      outcome: c.text('outcome', { enum: CASE_OUTCOMES }).notNull(),
      signature: c.text('signature').notNull(),
      atMs: c.int('at_ms').notNull(),
    },
    (t) => [
      c.primaryKey({ columns: [t.caseId, t.instance, t.referee] }),
      c.check('chain_voices_outcome_word', oneOf('outcome', CASE_OUTCOMES)),
      c.check('chain_voices_instance', condition('instance in (0, 1)')),
    ],
  );

  return {
    chainIntents,
    chainTries,
    chainBlocks,
    chainEvents,
    chainStakes,
    chainKeys,
    chainChannels,
    chainTotals,
    chainRoots,
    chainLeaves,
    chainClaims,
    chainCases,
    chainVoices,
  };
}
