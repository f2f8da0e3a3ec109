CREATE TABLE `chunks` (
	`job_id` text NOT NULL,
	`chunk_index` integer NOT NULL,
	`commitment` text NOT NULL,
	`opening` text NOT NULL,
	`tokens` text NOT NULL,
	`evidence` text NOT NULL,
	`short_evidence` text NOT NULL,
	`finish` text,
	PRIMARY KEY(`job_id`, `chunk_index`),
	FOREIGN KEY (`job_id`) REFERENCES `jobs`(`job_id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `claims` (
	`job_id` text PRIMARY KEY NOT NULL,
	`claim` text NOT NULL,
	FOREIGN KEY (`job_id`) REFERENCES `jobs`(`job_id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `jobs` (
	`job_id` text PRIMARY KEY NOT NULL,
	`ticket_hash` text NOT NULL,
	`ticket` text NOT NULL,
	`gateway` text NOT NULL,
	`expires_at_ms` integer NOT NULL,
	`retain_until_ms` integer NOT NULL,
	`closed` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE INDEX `jobs_by_retention` ON `jobs` (`retain_until_ms`,`expires_at_ms`);--> statement-breakpoint
CREATE TABLE `roots` (
	`job_id` text NOT NULL,
	`chunk_index` integer NOT NULL,
	`root` text NOT NULL,
	`slot` integer NOT NULL,
	`signature` text NOT NULL,
	PRIMARY KEY(`job_id`, `chunk_index`),
	FOREIGN KEY (`job_id`) REFERENCES `jobs`(`job_id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `scores` (
	`job_id` text PRIMARY KEY NOT NULL,
	`score` text NOT NULL,
	`evidence` text NOT NULL,
	FOREIGN KEY (`job_id`) REFERENCES `jobs`(`job_id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE TABLE `write_checks` (
	`id` integer PRIMARY KEY NOT NULL,
	`count` integer NOT NULL
);
