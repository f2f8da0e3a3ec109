DROP INDEX `postings_account`;--> statement-breakpoint
CREATE INDEX `postings_external` ON `postings` (`transfer_id`) WHERE account = 'external';--> statement-breakpoint
DROP INDEX `requests_state`;--> statement-breakpoint
CREATE INDEX `requests_open` ON `requests` (`created_at_ms`) WHERE ended_at_ms is null;--> statement-breakpoint
DROP INDEX `transfers_request`;--> statement-breakpoint
DROP INDEX `transfers_time`;