CREATE TABLE `evidence_accounts` (
	`model_digest` text NOT NULL,
	`operator` text NOT NULL,
	`responses` integer NOT NULL,
	`wealth` text NOT NULL,
	`detector` text NOT NULL,
	`stage` text NOT NULL,
	`log_index` integer NOT NULL,
	`at_ms` integer NOT NULL,
	PRIMARY KEY(`model_digest`, `operator`),
	CONSTRAINT "evidence_accounts_stage" CHECK(stage in ('clear', 'quarantine', 'slash')),
	CONSTRAINT "evidence_accounts_counts" CHECK(responses >= 0 and log_index >= 0)
);
--> statement-breakpoint
CREATE TABLE `scored_responses` (
	`response_id` text PRIMARY KEY NOT NULL,
	`request_id` text NOT NULL,
	`operator` text NOT NULL,
	`model_digest` text NOT NULL,
	`provider` text NOT NULL,
	`client` text NOT NULL,
	`prompt_hash` text NOT NULL,
	`log_index` integer NOT NULL,
	`evidence_json` text,
	`retain_until_ms` integer NOT NULL,
	FOREIGN KEY (`request_id`) REFERENCES `requests`(`request_id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "scored_responses_index" CHECK(log_index >= 0)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `scored_responses_log_index` ON `scored_responses` (`log_index`);--> statement-breakpoint
CREATE UNIQUE INDEX `scored_responses_prompt` ON `scored_responses` (`model_digest`,`operator`,`prompt_hash`);--> statement-breakpoint
CREATE INDEX `scored_responses_request` ON `scored_responses` (`request_id`);--> statement-breakpoint
CREATE INDEX `scored_responses_retention` ON `scored_responses` (`retain_until_ms`);