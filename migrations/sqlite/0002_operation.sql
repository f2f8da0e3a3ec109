CREATE TABLE `admissions` (
	`url` text PRIMARY KEY NOT NULL,
	`role` text NOT NULL,
	`at_ms` integer NOT NULL,
	CONSTRAINT "admissions_role" CHECK(role in ('member', 'referee'))
);
--> statement-breakpoint
CREATE TABLE `applications` (
	`provider` text PRIMARY KEY NOT NULL,
	`url` text NOT NULL,
	`operator` text NOT NULL,
	`state` text NOT NULL,
	`at_ms` integer NOT NULL,
	`decided_at_ms` integer,
	CONSTRAINT "applications_state_word" CHECK(state in ('pending', 'admitted', 'refused'))
);
--> statement-breakpoint
CREATE INDEX `applications_state` ON `applications` (`state`);--> statement-breakpoint
CREATE TABLE `exclusions` (
	`provider` text PRIMARY KEY NOT NULL,
	`reason` text NOT NULL,
	`log_index` integer NOT NULL,
	`at_ms` integer NOT NULL,
	CONSTRAINT "exclusions_index" CHECK(log_index >= 0)
);
--> statement-breakpoint
CREATE TABLE `settings` (
	`name` text PRIMARY KEY NOT NULL,
	`value_json` text NOT NULL,
	`updated_at_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `signing_keys` (
	`key_id` text PRIMARY KEY NOT NULL,
	`address` text NOT NULL,
	`state` text NOT NULL,
	`log_index` integer NOT NULL,
	`created_at_ms` integer NOT NULL,
	`activated_at_ms` integer,
	CONSTRAINT "signing_keys_state" CHECK(state in ('announced', 'active', 'past')),
	CONSTRAINT "signing_keys_index" CHECK(log_index >= 0)
);
--> statement-breakpoint
CREATE UNIQUE INDEX `signing_keys_address` ON `signing_keys` (`address`);