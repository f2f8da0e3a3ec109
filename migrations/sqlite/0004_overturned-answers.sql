ALTER TABLE `attestations` ADD `overturned_by` text;--> statement-breakpoint
ALTER TABLE `attestations` ADD `overturned_at_ms` integer;