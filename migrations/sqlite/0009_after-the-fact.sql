CREATE TABLE `client_events` (
	`seq` integer PRIMARY KEY NOT NULL,
	`key_id` text NOT NULL,
	`type` text NOT NULL,
	`body_json` text NOT NULL,
	`at_ms` integer NOT NULL,
	FOREIGN KEY (`key_id`) REFERENCES `api_keys`(`key_id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "client_events_seq" CHECK(seq >= 0)
);
--> statement-breakpoint
CREATE INDEX `client_events_key` ON `client_events` (`key_id`,`seq`);--> statement-breakpoint
CREATE INDEX `client_events_time` ON `client_events` (`at_ms`);--> statement-breakpoint
CREATE TABLE `kept_answers` (
	`request_id` text NOT NULL,
	`choice` integer NOT NULL,
	`job_id` text NOT NULL,
	`provider` text NOT NULL,
	`operator` text NOT NULL,
	`mode` text NOT NULL,
	`asked_ppm` integer NOT NULL,
	`cost_nano` integer NOT NULL,
	`answered_at_ms` integer NOT NULL,
	`keep_until_ms` integer NOT NULL,
	`sealed_work` text NOT NULL,
	PRIMARY KEY(`request_id`, `choice`),
	FOREIGN KEY (`request_id`) REFERENCES `requests`(`request_id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "kept_answers_counts" CHECK(choice >= 0 and asked_ppm >= 0),
	CONSTRAINT "kept_answers_cost" CHECK(cost_nano between 0 and 4611686018427387903)
);
--> statement-breakpoint
CREATE INDEX `kept_answers_operator` ON `kept_answers` (`operator`,`answered_at_ms`);--> statement-breakpoint
CREATE INDEX `kept_answers_until` ON `kept_answers` (`keep_until_ms`);--> statement-breakpoint
CREATE TABLE `reexaminations` (
	`dispute_id` text PRIMARY KEY NOT NULL,
	`operator` text NOT NULL,
	`from_ms` integer NOT NULL,
	`began_at_ms` integer NOT NULL,
	`deadline_ms` integer NOT NULL,
	`ended_at_ms` integer,
	`left_out` integer NOT NULL,
	FOREIGN KEY (`dispute_id`) REFERENCES `disputes`(`dispute_id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "reexaminations_counts" CHECK(left_out >= 0)
);
--> statement-breakpoint
CREATE INDEX `reexaminations_operator` ON `reexaminations` (`operator`,`ended_at_ms`);--> statement-breakpoint
CREATE TABLE `reexamined` (
	`request_id` text NOT NULL,
	`choice` integer NOT NULL,
	`dispute_id` text NOT NULL,
	`provider` text NOT NULL,
	`rank` integer NOT NULL,
	`due_at_ms` integer NOT NULL,
	`log_index` integer,
	`accused_in` text,
	`outcome` text,
	`refunded_nano` integer NOT NULL,
	PRIMARY KEY(`request_id`, `choice`),
	FOREIGN KEY (`request_id`) REFERENCES `requests`(`request_id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`dispute_id`) REFERENCES `reexaminations`(`dispute_id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "reexamined_outcome_word" CHECK(outcome in ('stands', 'overturned', 'inconclusive')),
	CONSTRAINT "reexamined_counts" CHECK(choice >= 0 and rank >= 0),
	CONSTRAINT "reexamined_money" CHECK(refunded_nano between 0 and 4611686018427387903),
	CONSTRAINT "reexamined_seen" CHECK(log_index is not null or (outcome is null and accused_in is null)),
	CONSTRAINT "reexamined_refund" CHECK(refunded_nano = 0 or outcome = 'overturned')
);
--> statement-breakpoint
CREATE INDEX `reexamined_dispute` ON `reexamined` (`dispute_id`);--> statement-breakpoint
CREATE INDEX `reexamined_due` ON `reexamined` (`log_index`,`due_at_ms`);--> statement-breakpoint
CREATE UNIQUE INDEX `reexamined_accused` ON `reexamined` (`accused_in`);--> statement-breakpoint
CREATE TABLE `webhook_deliveries` (
	`seq` integer PRIMARY KEY NOT NULL,
	`key_id` text NOT NULL,
	`state` text NOT NULL,
	`tries` integer NOT NULL,
	`due_at_ms` integer NOT NULL,
	`status` integer,
	FOREIGN KEY (`seq`) REFERENCES `client_events`(`seq`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "webhook_deliveries_state" CHECK(state in ('waiting', 'delivered', 'given_up')),
	CONSTRAINT "webhook_deliveries_tries" CHECK(tries >= 0)
);
--> statement-breakpoint
CREATE INDEX `webhook_deliveries_due` ON `webhook_deliveries` (`state`,`due_at_ms`);--> statement-breakpoint
CREATE INDEX `webhook_deliveries_key` ON `webhook_deliveries` (`key_id`,`seq`);--> statement-breakpoint
CREATE TABLE `webhooks` (
	`key_id` text PRIMARY KEY NOT NULL,
	`url` text NOT NULL,
	`sealed_secret` text NOT NULL,
	`created_at_ms` integer NOT NULL,
	`stopped_at_ms` integer,
	FOREIGN KEY (`key_id`) REFERENCES `api_keys`(`key_id`) ON UPDATE no action ON DELETE no action
);
