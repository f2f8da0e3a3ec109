CREATE TABLE `gateway_successions` (
	`next` text PRIMARY KEY NOT NULL,
	`previous` text NOT NULL,
	`order_json` text NOT NULL,
	`at_ms` integer NOT NULL
);
