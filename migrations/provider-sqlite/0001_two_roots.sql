CREATE TABLE `two_roots` (
	`round_id` text NOT NULL,
	`chunk_index` integer NOT NULL,
	`first_root` text NOT NULL,
	`first_signature` text NOT NULL,
	`second_root` text NOT NULL,
	`second_signature` text NOT NULL,
	PRIMARY KEY(`round_id`, `chunk_index`)
);
