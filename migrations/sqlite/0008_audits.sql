CREATE TABLE `audit_jobs` (
	`job_id` text PRIMARY KEY NOT NULL,
	`request_id` text NOT NULL,
	`choice` integer NOT NULL,
	FOREIGN KEY (`job_id`) REFERENCES `jobs`(`job_id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE TABLE `audits` (
	`request_id` text NOT NULL,
	`choice` integer NOT NULL,
	`provider` text NOT NULL,
	`kind` text NOT NULL,
	`due_at_ms` integer NOT NULL,
	`deadline_ms` integer NOT NULL,
	`sealed_work` text,
	`outcome` text,
	`log_index` integer,
	PRIMARY KEY(`request_id`, `choice`),
	FOREIGN KEY (`request_id`) REFERENCES `requests`(`request_id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "audits_kind_word" CHECK(kind in ('score', 'regenerate')),
	CONSTRAINT "audits_outcome_word" CHECK(outcome in ('held', 'rejected', 'unsure', 'undone')),
	CONSTRAINT "audits_choice" CHECK(choice >= 0),
	CONSTRAINT "audits_done" CHECK((outcome is null) = (log_index is null) and (outcome is null) = (sealed_work is not null))
);
--> statement-breakpoint
CREATE INDEX `audits_due` ON `audits` (`log_index`,`due_at_ms`);