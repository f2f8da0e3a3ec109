CREATE TABLE `key_budgets` (
	`key_id` text PRIMARY KEY NOT NULL,
	`budget_nano` integer,
	`period` text,
	`period_budget_nano` integer,
	`spent_nano` integer NOT NULL,
	`period_start_ms` integer NOT NULL,
	`period_spent_nano` integer NOT NULL,
	FOREIGN KEY (`key_id`) REFERENCES `api_keys`(`key_id`) ON UPDATE no action ON DELETE no action,
	CONSTRAINT "key_budgets_period_word" CHECK(period in ('hour', 'day', 'month')),
	CONSTRAINT "key_budgets_pair" CHECK((period is null) = (period_budget_nano is null)),
	CONSTRAINT "key_budgets_some" CHECK(budget_nano is not null or period_budget_nano is not null),
	CONSTRAINT "key_budgets_money" CHECK(coalesce(budget_nano, 0) between 0 and 4611686018427387903 and coalesce(period_budget_nano, 0) between 0 and 4611686018427387903 and spent_nano between 0 and 4611686018427387903 and period_spent_nano between 0 and 4611686018427387903)
);
--> statement-breakpoint
ALTER TABLE `api_keys` ADD `concurrent_requests` integer;--> statement-breakpoint
ALTER TABLE `idempotency_keys` ADD `sealed_answer` text;