CREATE TABLE `chain_blocks` (
	`number` integer PRIMARY KEY NOT NULL,
	`hash` text NOT NULL,
	`parent_hash` text NOT NULL,
	`at_seconds` integer NOT NULL,
	CONSTRAINT "chain_blocks_number" CHECK(number >= 0)
);
--> statement-breakpoint
CREATE TABLE `chain_channels` (
	`client` text PRIMARY KEY NOT NULL,
	`epoch` integer NOT NULL,
	`deposited_base` text NOT NULL,
	`redeemed_base` text NOT NULL,
	`exit_at_seconds` integer
);
--> statement-breakpoint
CREATE TABLE `chain_claims` (
	`payee` text PRIMARY KEY NOT NULL,
	`claimed_base` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `chain_events` (
	`block_number` integer NOT NULL,
	`log_index` integer NOT NULL,
	`tx_hash` text NOT NULL,
	`name` text NOT NULL,
	`args_json` text NOT NULL,
	`amount_nano` integer,
	PRIMARY KEY(`block_number`, `log_index`),
	CONSTRAINT "chain_events_money" CHECK(coalesce(amount_nano, 0) between 0 and 4611686018427387903)
);
--> statement-breakpoint
CREATE INDEX `chain_events_name` ON `chain_events` (`name`);--> statement-breakpoint
CREATE TABLE `chain_intents` (
	`intent_key` text PRIMARY KEY NOT NULL,
	`place` integer NOT NULL,
	`to_address` text NOT NULL,
	`call_data` text NOT NULL,
	`state` text NOT NULL,
	`nonce` integer,
	`gas_limit` text,
	`mined_tx_hash` text,
	`mined_block` integer,
	`mined_block_hash` text,
	`failure` text,
	`created_at_ms` integer NOT NULL,
	`ended_at_ms` integer,
	CONSTRAINT "chain_intents_state_word" CHECK(state in ('queued', 'sent', 'mined', 'confirmed', 'failed')),
	CONSTRAINT "chain_intents_nonced" CHECK(state in ('queued', 'failed') or nonce is not null),
	CONSTRAINT "chain_intents_mined" CHECK(state not in ('mined', 'confirmed') or mined_tx_hash is not null)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `chain_intents_place` ON `chain_intents` (`place`);--> statement-breakpoint
CREATE UNIQUE INDEX `chain_intents_nonce` ON `chain_intents` (`nonce`);--> statement-breakpoint
CREATE INDEX `chain_intents_state` ON `chain_intents` (`state`);--> statement-breakpoint
CREATE TABLE `chain_keys` (
	`signing_key` text PRIMARY KEY NOT NULL,
	`account` text NOT NULL,
	`place` integer NOT NULL,
	`retired` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `chain_keys_account` ON `chain_keys` (`account`);--> statement-breakpoint
CREATE TABLE `chain_leaves` (
	`sequence` integer NOT NULL,
	`payee` text NOT NULL,
	`cumulative_base` text NOT NULL,
	PRIMARY KEY(`sequence`, `payee`),
	FOREIGN KEY (`sequence`) REFERENCES `chain_roots`(`sequence`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `chain_roots` (
	`sequence` integer PRIMARY KEY NOT NULL,
	`state` text NOT NULL,
	`root` text NOT NULL,
	`leaf_count` integer NOT NULL,
	`total_base` text NOT NULL,
	`log_size` integer NOT NULL,
	`log_root` text NOT NULL,
	`chain_index` integer,
	`active_at_seconds` integer,
	`decided_at_ms` integer NOT NULL,
	CONSTRAINT "chain_roots_state_word" CHECK(state in ('decided', 'posted', 'disabled', 'failed', 'foreign'))
);
--> statement-breakpoint
CREATE INDEX `chain_roots_state` ON `chain_roots` (`state`);--> statement-breakpoint
CREATE TABLE `chain_stakes` (
	`account` text PRIMARY KEY NOT NULL,
	`active_base` text NOT NULL,
	`queued_base` text NOT NULL,
	`slashed_base` text NOT NULL,
	`active_nano` integer NOT NULL,
	`convicted` integer NOT NULL,
	CONSTRAINT "chain_stakes_money" CHECK(active_nano between 0 and 4611686018427387903)
);
--> statement-breakpoint
CREATE TABLE `chain_totals` (
	`name` text PRIMARY KEY NOT NULL,
	`amount_base` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `chain_tries` (
	`intent_key` text NOT NULL,
	`try_index` integer NOT NULL,
	`tx_hash` text NOT NULL,
	`raw_tx` text NOT NULL,
	`max_fee_per_gas` text NOT NULL,
	`max_priority_fee_per_gas` text NOT NULL,
	`signed_at_ms` integer NOT NULL,
	PRIMARY KEY(`intent_key`, `try_index`),
	FOREIGN KEY (`intent_key`) REFERENCES `chain_intents`(`intent_key`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "chain_tries_index" CHECK(try_index >= 0)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `chain_tries_hash` ON `chain_tries` (`tx_hash`);