CREATE TABLE `examinations` (
	`examination_id` text PRIMARY KEY NOT NULL,
	`provider` text NOT NULL,
	`operator` text NOT NULL,
	`occasion` text NOT NULL,
	`began_at_ms` integer NOT NULL,
	`deadline_ms` integer NOT NULL,
	`ended_at_ms` integer,
	`fee_nano` integer NOT NULL,
	CONSTRAINT "examinations_occasion_word" CHECK(occasion in ('first', 'last')),
	CONSTRAINT "examinations_money" CHECK(fee_nano between 0 and 4611686018427387903),
	CONSTRAINT "examinations_fee" CHECK(fee_nano = 0 or ended_at_ms is not null)
);
--> statement-breakpoint
CREATE INDEX `examinations_provider` ON `examinations` (`provider`,`began_at_ms`);--> statement-breakpoint
CREATE TABLE `examined` (
	`request_id` text NOT NULL,
	`choice` integer NOT NULL,
	`examination_id` text NOT NULL,
	`provider` text NOT NULL,
	`due_at_ms` integer NOT NULL,
	`cost_nano` integer NOT NULL,
	`log_index` integer,
	`outcome` text,
	PRIMARY KEY(`request_id`, `choice`),
	FOREIGN KEY (`request_id`) REFERENCES `requests`(`request_id`) ON UPDATE no action ON DELETE no action,
	FOREIGN KEY (`examination_id`) REFERENCES `examinations`(`examination_id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "examined_outcome_word" CHECK(outcome in ('held', 'rejected', 'unsure', 'undone')),
	CONSTRAINT "examined_choice" CHECK(choice >= 0),
	CONSTRAINT "examined_money" CHECK(cost_nano between 0 and 4611686018427387903),
	CONSTRAINT "examined_seen" CHECK((outcome is null) = (log_index is null))
);
--> statement-breakpoint
CREATE INDEX `examined_examination` ON `examined` (`examination_id`);--> statement-breakpoint
CREATE INDEX `examined_due` ON `examined` (`log_index`,`due_at_ms`);