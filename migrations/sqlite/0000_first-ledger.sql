CREATE TABLE `accounts` (
	`id` text PRIMARY KEY NOT NULL,
	`kind` text NOT NULL,
	`owner` text NOT NULL,
	`balance_nano` integer NOT NULL,
	CONSTRAINT "accounts_kind_word" CHECK(kind in ('external', 'reserve', 'burn', 'rounding', 'fees', 'client', 'escrow', 'cover', 'earnings', 'stake', 'frozen', 'withheld')),
	CONSTRAINT "accounts_range" CHECK(balance_nano between -4611686018427387903 and 4611686018427387903),
	CONSTRAINT "accounts_floor" CHECK(kind = 'external' or balance_nano >= 0)
);
--> statement-breakpoint
CREATE INDEX `accounts_kind` ON `accounts` (`kind`);--> statement-breakpoint
CREATE TABLE `api_keys` (
	`key_id` text PRIMARY KEY NOT NULL,
	`key_hash` text NOT NULL,
	`label` text NOT NULL,
	`account` text NOT NULL,
	`policy_json` text,
	`requests_per_minute` integer,
	`tokens_per_minute` integer,
	`created_at_ms` integer NOT NULL,
	`revoked_at_ms` integer,
	CONSTRAINT "api_keys_limits" CHECK(coalesce(requests_per_minute, 0) >= 0 and coalesce(tokens_per_minute, 0) >= 0)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `api_keys_hash` ON `api_keys` (`key_hash`);--> statement-breakpoint
CREATE TABLE `attestations` (
	`request_id` text PRIMARY KEY NOT NULL,
	`log_index` integer NOT NULL,
	`content_hash` text NOT NULL,
	`statement_json` text,
	`compact` text,
	`receipt_json` text,
	`retain_until_ms` integer NOT NULL,
	FOREIGN KEY (`request_id`) REFERENCES `requests`(`request_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `attestations_log_index` ON `attestations` (`log_index`);--> statement-breakpoint
CREATE INDEX `attestations_retention` ON `attestations` (`retain_until_ms`);--> statement-breakpoint
CREATE TABLE `checkpoints` (
	`size` integer PRIMARY KEY NOT NULL,
	`root` text NOT NULL,
	`note` text,
	`at_ms` integer NOT NULL,
	CONSTRAINT "checkpoints_size" CHECK(size >= 0)
);
--> statement-breakpoint
CREATE TABLE `counters` (
	`name` text PRIMARY KEY NOT NULL,
	`next` integer NOT NULL,
	CONSTRAINT "counters_next" CHECK(next >= 0)
);
--> statement-breakpoint
CREATE TABLE `dispute_moves` (
	`dispute_id` text NOT NULL,
	`move_index` integer NOT NULL,
	`kind` text NOT NULL,
	`move_json` text NOT NULL,
	`signature` text,
	`at_ms` integer NOT NULL,
	PRIMARY KEY(`dispute_id`, `move_index`),
	FOREIGN KEY (`dispute_id`) REFERENCES `disputes`(`dispute_id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "dispute_moves_index" CHECK(move_index >= 0)
);
--> statement-breakpoint
CREATE TABLE `disputes` (
	`dispute_id` text PRIMARY KEY NOT NULL,
	`request_id` text NOT NULL,
	`job_id` text NOT NULL,
	`provider` text NOT NULL,
	`fault` text NOT NULL,
	`state` text NOT NULL,
	`ruling` text,
	`frozen_nano` integer NOT NULL,
	`withheld_client_nano` integer NOT NULL,
	`withheld_reserve_nano` integer NOT NULL,
	`opened_at_ms` integer NOT NULL,
	`ruled_at_ms` integer,
	`appeal_until_ms` integer,
	`settled_at_ms` integer,
	`bundle_json` text,
	`retain_until_ms` integer NOT NULL,
	FOREIGN KEY (`request_id`) REFERENCES `requests`(`request_id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "disputes_state_word" CHECK(state in ('opened', 'evidence', 'ruled', 'settled')),
	CONSTRAINT "disputes_ruling_word" CHECK(ruling in ('upheld', 'rejected', 'abandoned')),
	CONSTRAINT "disputes_fault_word" CHECK(fault in ('equivocation', 'bad_opening', 'non_reveal', 'wrong_output', 'bad_evidence', 'model_substitution', 'copied_output', 'timeout', 'malformed', 'lying_scorer', 'two_roots', 'forked_log', 'false_draw', 'contradicting_attestation')),
	CONSTRAINT "disputes_money" CHECK(frozen_nano between 0 and 4611686018427387903 and withheld_client_nano between 0 and 4611686018427387903 and withheld_reserve_nano between 0 and 4611686018427387903),
	CONSTRAINT "disputes_ruled" CHECK((state in ('ruled', 'settled')) = (ruling is not null and ruled_at_ms is not null and appeal_until_ms is not null)),
	CONSTRAINT "disputes_settled" CHECK((state = 'settled') = (settled_at_ms is not null))
);
--> statement-breakpoint
CREATE UNIQUE INDEX `disputes_job_fault` ON `disputes` (`job_id`,`provider`,`fault`);--> statement-breakpoint
CREATE INDEX `disputes_request` ON `disputes` (`request_id`);--> statement-breakpoint
CREATE INDEX `disputes_state` ON `disputes` (`state`);--> statement-breakpoint
CREATE INDEX `disputes_provider` ON `disputes` (`provider`);--> statement-breakpoint
CREATE TABLE `draws` (
	`epoch` integer NOT NULL,
	`draw_index` integer NOT NULL,
	`request_id` text NOT NULL,
	`state` text NOT NULL,
	PRIMARY KEY(`epoch`, `draw_index`),
	FOREIGN KEY (`epoch`) REFERENCES `epochs`(`epoch`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "draws_state" CHECK(state in ('used', 'aborted')),
	CONSTRAINT "draws_index" CHECK(draw_index >= 0)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `draws_request` ON `draws` (`request_id`);--> statement-breakpoint
CREATE TABLE `epochs` (
	`epoch` integer PRIMARY KEY NOT NULL,
	`started_at_ms` integer NOT NULL,
	`draw_root` text NOT NULL,
	`draw_size` integer NOT NULL,
	`snapshot_hash` text NOT NULL,
	`snapshot_json` text NOT NULL,
	`sealed_seed` text NOT NULL,
	`log_index` integer NOT NULL,
	CONSTRAINT "epochs_counts" CHECK(epoch >= 0 and draw_size >= 0 and log_index >= 0)
);
--> statement-breakpoint
CREATE TABLE `idempotency_keys` (
	`key_id` text NOT NULL,
	`idempotency_key` text NOT NULL,
	`request_id` text NOT NULL,
	`body_hash` text NOT NULL,
	`expires_at_ms` integer NOT NULL,
	PRIMARY KEY(`key_id`, `idempotency_key`),
	FOREIGN KEY (`key_id`) REFERENCES `api_keys`(`key_id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`request_id`) REFERENCES `requests`(`request_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `jobs` (
	`job_id` text PRIMARY KEY NOT NULL,
	`request_id` text NOT NULL,
	`round_id` text NOT NULL,
	`wave` integer NOT NULL,
	`provider` text NOT NULL,
	`role` text NOT NULL,
	`seat` integer NOT NULL,
	`slot` integer NOT NULL,
	`ticket_json` text NOT NULL,
	`ticket_signature` text,
	`input_tokens` integer NOT NULL,
	`max_nano` integer NOT NULL,
	`state` text NOT NULL,
	`commitments_json` text NOT NULL,
	`claim_json` text,
	`output_tokens` integer NOT NULL,
	`scored_tokens` integer NOT NULL,
	`standing` text,
	`fault` text,
	`earned_nano` integer NOT NULL,
	`issued_at_ms` integer NOT NULL,
	`ended_at_ms` integer,
	FOREIGN KEY (`request_id`) REFERENCES `requests`(`request_id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "jobs_role" CHECK(role in ('member', 'scorer', 'referee')),
	CONSTRAINT "jobs_state" CHECK(state in ('issued', 'committed', 'revealed', 'claimed', 'failed', 'late')),
	CONSTRAINT "jobs_standing" CHECK(standing in ('counted', 'equivalent', 'rejected', 'late', 'failed', 'witness')),
	CONSTRAINT "jobs_fault" CHECK(fault in ('equivocation', 'bad_opening', 'non_reveal', 'wrong_output', 'bad_evidence', 'model_substitution', 'copied_output', 'timeout', 'malformed', 'lying_scorer', 'two_roots', 'forked_log', 'false_draw', 'contradicting_attestation')),
	CONSTRAINT "jobs_counts" CHECK(wave >= 0 and seat >= 0 and slot >= 0 and input_tokens >= 0 and output_tokens >= 0 and scored_tokens >= 0),
	CONSTRAINT "jobs_money" CHECK(max_nano between 0 and 4611686018427387903 and earned_nano between 0 and 4611686018427387903)
);
--> statement-breakpoint
CREATE INDEX `jobs_request` ON `jobs` (`request_id`);--> statement-breakpoint
CREATE INDEX `jobs_provider_time` ON `jobs` (`provider`,`issued_at_ms`);--> statement-breakpoint
CREATE TABLE `log_entries` (
	`log_index` integer PRIMARY KEY NOT NULL,
	`leaf_hash` text NOT NULL,
	`entry_json` text NOT NULL,
	CONSTRAINT "log_entries_index" CHECK(log_index >= 0)
);
--> statement-breakpoint
CREATE TABLE `log_nodes` (
	`level` integer NOT NULL,
	`node_index` integer NOT NULL,
	`hash` text NOT NULL,
	PRIMARY KEY(`level`, `node_index`),
	CONSTRAINT "log_nodes_place" CHECK(level >= 0 and node_index >= 0)
);
--> statement-breakpoint
CREATE TABLE `postings` (
	`transfer_id` text NOT NULL,
	`account` text NOT NULL,
	`amount_nano` integer NOT NULL,
	PRIMARY KEY(`transfer_id`, `account`),
	FOREIGN KEY (`transfer_id`) REFERENCES `transfers`(`id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`account`) REFERENCES `accounts`(`id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "postings_range" CHECK(amount_nano between -4611686018427387903 and 4611686018427387903),
	CONSTRAINT "postings_amount" CHECK(amount_nano <> 0)
);
--> statement-breakpoint
CREATE INDEX `postings_account` ON `postings` (`account`);--> statement-breakpoint
CREATE TABLE `providers` (
	`address` text PRIMARY KEY NOT NULL,
	`operator` text NOT NULL,
	`url` text NOT NULL,
	`role` text NOT NULL,
	`models_json` text NOT NULL,
	`region` text NOT NULL,
	`numeric_class` text NOT NULL,
	`status` text NOT NULL,
	`manifest_json` text NOT NULL,
	`updated_at_ms` integer NOT NULL,
	CONSTRAINT "providers_role" CHECK(role in ('member', 'referee')),
	CONSTRAINT "providers_status" CHECK(status in ('active', 'quarantined', 'left'))
);
--> statement-breakpoint
CREATE TABLE `requests` (
	`request_id` text PRIMARY KEY NOT NULL,
	`attempt` integer NOT NULL,
	`key_id` text NOT NULL,
	`account` text NOT NULL,
	`model` text NOT NULL,
	`body_hash` text NOT NULL,
	`policy_json` text NOT NULL,
	`input_nano_per_mtok` integer NOT NULL,
	`output_nano_per_mtok` integer NOT NULL,
	`quote_nano` integer NOT NULL,
	`cover_nano` integer NOT NULL,
	`charged_nano` integer NOT NULL,
	`refunded_nano` integer NOT NULL,
	`recoverable_nano` integer NOT NULL,
	`recovered_nano` integer NOT NULL,
	`epoch` integer NOT NULL,
	`draw_index` integer NOT NULL,
	`state` text NOT NULL,
	`verdict` text,
	`error_code` text,
	`log_index` integer,
	`created_at_ms` integer NOT NULL,
	`ended_at_ms` integer,
	FOREIGN KEY (`key_id`) REFERENCES `api_keys`(`key_id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "requests_state_word" CHECK(state in ('accepted', 'running', 'settled', 'failed')),
	CONSTRAINT "requests_verdict_word" CHECK(verdict in ('agreed', 'equivalent', 'disputed', 'inconclusive', 'unverified', 'best_effort', 'failed', 'disconnected')),
	CONSTRAINT "requests_attempt" CHECK(attempt >= 1),
	CONSTRAINT "requests_money" CHECK(quote_nano between 0 and 4611686018427387903 and cover_nano between 0 and 4611686018427387903 and input_nano_per_mtok between 0 and 4611686018427387903 and output_nano_per_mtok between 0 and 4611686018427387903 and recoverable_nano between 0 and 4611686018427387903),
	CONSTRAINT "requests_charge" CHECK(charged_nano between 0 and quote_nano),
	CONSTRAINT "requests_refund" CHECK(refunded_nano between 0 and charged_nano),
	CONSTRAINT "requests_recovery" CHECK(recovered_nano between 0 and recoverable_nano),
	CONSTRAINT "requests_end" CHECK((state in ('settled', 'failed')) = (ended_at_ms is not null and verdict is not null))
);
--> statement-breakpoint
CREATE INDEX `requests_state` ON `requests` (`state`);--> statement-breakpoint
CREATE INDEX `requests_key_time` ON `requests` (`key_id`,`created_at_ms`);--> statement-breakpoint
CREATE TABLE `rounds` (
	`round_id` text NOT NULL,
	`round_index` integer NOT NULL,
	`request_id` text NOT NULL,
	`round_root` text NOT NULL,
	`permission_signature` text,
	`at_ms` integer NOT NULL,
	PRIMARY KEY(`round_id`, `round_index`),
	FOREIGN KEY (`request_id`) REFERENCES `requests`(`request_id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "rounds_index" CHECK(round_index >= 0)
);
--> statement-breakpoint
CREATE INDEX `rounds_request` ON `rounds` (`request_id`);--> statement-breakpoint
CREATE TABLE `transfers` (
	`id` text PRIMARY KEY NOT NULL,
	`reason` text NOT NULL,
	`request_id` text,
	`dispute_id` text,
	`created_at_ms` integer NOT NULL,
	CONSTRAINT "transfers_reason_word" CHECK(reason in ('deposit', 'withdrawal', 'hold', 'close', 'late', 'freeze', 'dispute'))
);
--> statement-breakpoint
CREATE INDEX `transfers_request` ON `transfers` (`request_id`);--> statement-breakpoint
CREATE INDEX `transfers_time` ON `transfers` (`created_at_ms`);