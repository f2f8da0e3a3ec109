CREATE TABLE `chain_cases` (
	`dispute_id` text PRIMARY KEY NOT NULL,
	`case_id` text NOT NULL,
	`account` text NOT NULL,
	`bundle_hash` text NOT NULL,
	`client` text NOT NULL,
	`refund_base` text NOT NULL,
	`right_json` text NOT NULL,
	`state` text NOT NULL,
	`outcome` text,
	`set_version` integer,
	`deadline_seconds` integer,
	`entered_at_ms` integer NOT NULL,
	CONSTRAINT "chain_cases_state_word" CHECK(state in ('entered', 'opened', 'ruled', 'appealed', 'settled', 'failed')),
	CONSTRAINT "chain_cases_outcome_word" CHECK(outcome is null or outcome in ('upheld', 'rejected'))
);
--> statement-breakpoint
CREATE UNIQUE INDEX `chain_cases_case` ON `chain_cases` (`case_id`);--> statement-breakpoint
CREATE INDEX `chain_cases_state` ON `chain_cases` (`state`);--> statement-breakpoint
CREATE TABLE `chain_voices` (
	`case_id` text NOT NULL,
	`instance` integer NOT NULL,
	`referee` text NOT NULL,
	`outcome` text NOT NULL,
	`signature` text NOT NULL,
	`at_ms` integer NOT NULL,
	PRIMARY KEY(`case_id`, `instance`, `referee`),
	CONSTRAINT "chain_voices_outcome_word" CHECK(outcome in ('upheld', 'rejected')),
	CONSTRAINT "chain_voices_instance" CHECK(instance in (0, 1))
);
--> statement-breakpoint
CREATE INDEX `log_entries_trials` ON `log_entries` (`log_index`) WHERE entry_json like '%"type":"trial"%';